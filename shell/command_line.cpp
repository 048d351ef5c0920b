#include "shell/command_line.hpp"

#include "shell/verbs.hpp"

#include <algorithm>
#include <ostream>

namespace troupe::shell {

namespace {

/// Insertions, deletions and changes of one letter that make `b` out of `a` (Levenshtein).
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      auto change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row[b.size()];
}

/// The verb or noun where the words stop making sense, and what is near it.
std::string suggestion(const CLI::App& app, const std::vector<std::string>& arguments) {
  const CLI::App* at = &app;
  for (const auto& word : arguments) {
    if (word.starts_with("-"))
      break;
    const CLI::App* next = nullptr;
    for (const auto* sub : at->get_subcommands([](const CLI::App*) { return true; }))
      if (sub->get_name() == word)
        next = sub;
    if (next) {
      at = next;
      continue;
    }
    std::string best;
    std::size_t best_distance = 3;
    for (const auto* sub : at->get_subcommands([](const CLI::App*) { return true; }))
      if (auto d = distance(word, sub->get_name()); d < best_distance) {
        best = sub->get_name();
        best_distance = d;
      }
    if (at->get_subcommands([](const CLI::App*) { return true; }).empty())
      return {};
    auto text = "'" + word + "' is not a command";
    return best.empty() ? text : text + "; did you mean '" + best + "'?";
  }
  return {};
}

} // namespace

int run_command_line(context& ctx, const std::vector<std::string>& arguments) {
  CLI::App app{"Troupe: one file system over many machines", "troupe"};
  app.require_subcommand(1);
  app.set_help_all_flag("--help-all", "help of every command");
  app.set_version_flag("--version", "troupe 0.1.0");
  add_host_verbs(app, ctx);
  add_status_verbs(app, ctx);
  add_part_verbs(app, ctx);
  add_actor_verbs(app, ctx);
  add_event_verbs(app, ctx);
  add_config_verbs(app, ctx);
  add_cert_verbs(app, ctx);
  add_layout_verbs(app, ctx);
  add_file_verbs(app, ctx);
  add_check_verbs(app, ctx);
  add_catalogue_verbs(app, ctx);
  add_sim_verbs(app, ctx);
  try { // CLI11 reports through exceptions
    auto reversed = arguments;
    std::reverse(reversed.begin(), reversed.end());
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    ctx.out << app.help();
    return 0;
  } catch (const CLI::CallForAllHelp&) {
    ctx.out << app.help("", CLI::AppFormatMode::All);
    return 0;
  } catch (const CLI::CallForVersion&) {
    ctx.out << "troupe 0.1.0\n";
    return 0;
  } catch (const CLI::ParseError& e) {
    auto hint = suggestion(app, arguments);
    ctx.err << "troupe: " << (hint.empty() ? std::string{e.what()} : hint) << "\n  "
            << "next: see `troupe --help`, or `--help` behind any command\n";
    return static_cast<int>(exit_code::usage);
  }
  return static_cast<int>(ctx.result);
}

} // namespace troupe::shell
