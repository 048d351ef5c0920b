// file_load - a neutral POSIX small-file and metadata load for one directory.
//
//   file_load DIR --phases create,stat,list,lslong,read,rename,unlink,mkdir,rmdir
//          [--files 5000] [--dirs 10] [--threads 1] [--size 4096]
//          [--fsync] [--mkdirs 1000] [--label TEXT]
//
// One line per phase on standard output, tab separated:
//   label phase threads ops seconds ops_per_s p50_us p99_us max_us
// Phases may be given in one call or in several (so that a caller can remount
// or drop caches between them); the names are the same each time.
// Every read is checked against the pattern written; an error ends the run.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <functional>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

using Clock = std::chrono::steady_clock;

static std::string root, label = "-";
static int nfiles = 5000, ndirs = 10, nthreads = 1, nmkdirs = 1000;
static size_t fsize = 4096;
static bool do_fsync = false;

[[noreturn]] static void die(const char* what, const std::string& p) {
  fprintf(stderr, "file_load: %s %s: %s\n", what, p.c_str(), strerror(errno));
  exit(1);
}
static std::string dirname_of(int d) {
  return root + "/d" + std::to_string(d);
}
static std::string path_of(int i) {
  return dirname_of(i % ndirs) + "/f" + std::to_string(i);
}
static std::string mkdir_of(int i) {
  return root + "/m/s" + std::to_string(i);
}

static void fill(std::vector<char>& b, int i) {
  uint64_t x = 0x9e3779b97f4a7c15ull * (uint64_t)(i + 1);
  size_t n = b.size() / 8;
  for (size_t k = 0; k < n; k++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    memcpy(&b[k * 8], &x, 8);
  }
  for (size_t k = n * 8; k < b.size(); k++)
    b[k] = (char)k;
}

// Runs op(i) for i in [0,n) over the threads, interleaved; reports the rate.
static void run(const char* phase, int n, const std::function<int(int, std::vector<char>&)>& op) {
  std::vector<std::vector<float>> lat(nthreads);
  std::vector<std::thread> th;
  std::atomic<long> ops{0};
  std::atomic<bool> go{false};
  for (int t = 0; t < nthreads; t++)
    th.emplace_back([&, t] {
      std::vector<char> buf(fsize);
      lat[t].reserve(n / nthreads + 1);
      while (!go.load())
        std::this_thread::yield();
      for (int i = t; i < n; i += nthreads) {
        auto a = Clock::now();
        ops += op(i, buf);
        lat[t].push_back(std::chrono::duration<float, std::micro>(Clock::now() - a).count());
      }
    });
  auto t0 = Clock::now();
  go = true;
  for (auto& t : th)
    t.join();
  double s = std::chrono::duration<double>(Clock::now() - t0).count();
  std::vector<float> all;
  for (auto& l : lat)
    all.insert(all.end(), l.begin(), l.end());
  std::sort(all.begin(), all.end());
  auto pct = [&](double p) {
    return all.empty() ? 0.f : all[std::min(all.size() - 1, (size_t)(p * all.size()))];
  };
  printf("%s\t%s\t%d\t%ld\t%.3f\t%.1f\t%.0f\t%.0f\t%.0f\n", label.c_str(), phase, nthreads,
         ops.load(), s, ops.load() / s, pct(.5), pct(.99), all.empty() ? 0.f : all.back());
  fflush(stdout);
}

static int list_dir(const std::string& p, bool with_stat) {
  DIR* d = opendir(p.c_str());
  if (!d)
    die("opendir", p);
  int n = 0;
  struct stat st;
  while (dirent* e = readdir(d)) {
    if (e->d_name[0] == '.')
      continue;
    if (with_stat && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW))
      die("fstatat", p + "/" + e->d_name);
    n++;
  }
  closedir(d);
  return n;
}

static void phase(const std::string& ph) {
  if (ph == "create") {
    if (mkdir(root.c_str(), 0755) && errno != EEXIST)
      die("mkdir", root);
    for (int d = 0; d < ndirs; d++)
      if (mkdir(dirname_of(d).c_str(), 0755) && errno != EEXIST)
        die("mkdir", dirname_of(d));
    run(do_fsync ? "create_fsync" : "create", nfiles, [](int i, std::vector<char>& b) {
      auto p = path_of(i);
      fill(b, i);
      int fd = open(p.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644);
      if (fd < 0)
        die("create", p);
      if (write(fd, b.data(), b.size()) != (ssize_t)b.size())
        die("write", p);
      if (do_fsync && fsync(fd))
        die("fsync", p);
      if (close(fd))
        die("close", p);
      return 1;
    });
  } else if (ph == "stat") {
    run("stat", nfiles, [](int i, std::vector<char>&) {
      struct stat st;
      auto p = path_of(i);
      if (lstat(p.c_str(), &st))
        die("stat", p);
      if ((size_t)st.st_size != fsize) {
        errno = EIO;
        die("wrong size", p);
      }
      return 1;
    });
  } else if (ph == "list" || ph == "lslong") {
    bool l = ph == "lslong";
    run(ph.c_str(), ndirs, [l](int d, std::vector<char>&) { return list_dir(dirname_of(d), l); });
  } else if (ph == "read") {
    run("read", nfiles, [](int i, std::vector<char>& b) {
      auto p = path_of(i);
      int fd = open(p.c_str(), O_RDONLY);
      if (fd < 0)
        die("open", p);
      if (read(fd, b.data(), b.size()) != (ssize_t)b.size())
        die("read", p);
      close(fd);
      thread_local std::vector<char> want;
      want.resize(fsize);
      fill(want, i);
      if (memcmp(want.data(), b.data(), fsize)) {
        errno = EIO;
        die("wrong content", p);
      }
      return 1;
    });
  } else if (ph == "rename") {
    run("rename", nfiles, [](int i, std::vector<char>&) {
      auto p = path_of(i), q = p + ".r";
      if (rename(p.c_str(), q.c_str()))
        die("rename", p);
      if (rename(q.c_str(), p.c_str()))
        die("rename", q);
      return 2;
    });
  } else if (ph == "unlink") {
    run("unlink", nfiles, [](int i, std::vector<char>&) {
      auto p = path_of(i);
      if (unlink(p.c_str()))
        die("unlink", p);
      return 1;
    });
    for (int d = 0; d < ndirs; d++)
      if (rmdir(dirname_of(d).c_str()))
        die("rmdir", dirname_of(d));
  } else if (ph == "mkdir") {
    if (mkdir(root.c_str(), 0755) && errno != EEXIST)
      die("mkdir", root);
    if (mkdir((root + "/m").c_str(), 0755) && errno != EEXIST)
      die("mkdir", root);
    run("mkdir", nmkdirs, [](int i, std::vector<char>&) {
      if (mkdir(mkdir_of(i).c_str(), 0755))
        die("mkdir", mkdir_of(i));
      return 1;
    });
  } else if (ph == "rmdir") {
    run("rmdir", nmkdirs, [](int i, std::vector<char>&) {
      if (rmdir(mkdir_of(i).c_str()))
        die("rmdir", mkdir_of(i));
      return 1;
    });
    rmdir((root + "/m").c_str());
  } else {
    errno = EINVAL;
    die("unknown phase", ph);
  }
}

int main(int argc, char** argv) {
  std::string phases = "create,stat,list,lslong,read,rename,unlink,mkdir,rmdir";
  for (int i = 1; i < argc; i++) {
    std::string a = argv[i];
    auto val = [&]() -> const char* {
      if (i + 1 >= argc) {
        fprintf(stderr, "file_load: %s needs a value\n", a.c_str());
        exit(2);
      }
      return argv[++i];
    };
    if (a == "--phases")
      phases = val();
    else if (a == "--files")
      nfiles = atoi(val());
    else if (a == "--dirs")
      ndirs = atoi(val());
    else if (a == "--threads")
      nthreads = atoi(val());
    else if (a == "--size")
      fsize = (size_t)atol(val());
    else if (a == "--mkdirs")
      nmkdirs = atoi(val());
    else if (a == "--label")
      label = val();
    else if (a == "--fsync")
      do_fsync = true;
    else if (a[0] != '-' && root.empty())
      root = a;
    else {
      fprintf(stderr, "file_load: what is %s?\n", a.c_str());
      return 2;
    }
  }
  if (root.empty() || nthreads < 1 || ndirs < 1) {
    fprintf(stderr, "usage: file_load DIR [options]\n");
    return 2;
  }
  for (size_t s = 0; s <= phases.size();) {
    size_t e = phases.find(',', s);
    if (e == std::string::npos)
      e = phases.size();
    if (e > s)
      phase(phases.substr(s, e - s));
    s = e + 1;
  }
}
