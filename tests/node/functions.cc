// Functions that behave and misbehave.
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>

#include <mignificient/executor/function.hpp>

using mignificient::Invocation;

namespace {

int counter = 0;

// Goes through the door, says one byte and returns the connection.
int TellServer(const char* what) {
  const std::string address = std::getenv("MIGNIFICIENT_GPU_DOOR");
  const std::string name = address.substr(0, address.rfind(':'));
  sockaddr_un abstract{};
  abstract.sun_family = AF_UNIX;
  std::memcpy(abstract.sun_path + 1, name.data(), name.size());
  const int connection = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (::connect(connection, reinterpret_cast<sockaddr*>(&abstract), bytes) != 0) std::abort();
  (void)!::send(connection, what, 1, 0);
  return connection;
}

int Write(const Invocation& invocation, const std::string& text) {
  std::memcpy(invocation.result.data, text.data(), text.size());
  return static_cast<int>(text.size());
}

[[noreturn]] void WaitForever() {
  for (;;) ::pause();
}

}  // namespace

extern "C" {

int echo(Invocation invocation) {
  if (invocation.payload.data[invocation.payload.size] != 0) return -9;
  std::memcpy(invocation.result.data, invocation.payload.data, invocation.payload.size);
  return static_cast<int>(invocation.payload.size);
}
size_t echo_size_t(Invocation invocation) {
  return static_cast<size_t>(echo(invocation));
}
int count(Invocation invocation) {
  return Write(invocation, std::to_string(++counter));
}
int own_pid(Invocation invocation) {
  return Write(invocation, std::to_string(::getpid()));
}
int nothing(Invocation) {
  return 0;
}
int negative(Invocation) {
  std::printf("about to fail\n");
  return -7;
}
int too_large(Invocation invocation) {
  return static_cast<int>(invocation.result.capacity + 1);
}
int throws(Invocation) {
  throw std::runtime_error("out of paper");
}
int raises(Invocation) {
  throw std::runtime_error("kein Papier: größe");
}
int throws_number(Invocation) {
  throw 3;
}
int exits(Invocation) {
  std::exit(3);
}
int segfaults(Invocation) {
  std::printf("last words\n");
  ::signal(SIGSEGV, SIG_DFL);  // a sanitizer's own handler would exit instead
  ::raise(SIGSEGV);
  return 0;
}
int hangs(Invocation) {
  volatile bool forever = true;
  while (forever) {
  }
  return 0;
}
int waits(Invocation) {
  WaitForever();
}
// Touches the file that the payload names, then waits until the file NAME.go exists.
int waits_for_file(Invocation invocation) {
  const std::string name = reinterpret_cast<const char*>(invocation.payload.data);
  std::fclose(std::fopen(name.c_str(), "w"));
  while (::access((name + ".go").c_str(), F_OK) != 0) ::usleep(1000);
  return 0;
}
// The same, without the GPU.
int yields(Invocation invocation) {
  invocation.gpu_yield();
  return waits_for_file(invocation);
}
int yields_twice(Invocation invocation) {
  invocation.gpu_yield();
  invocation.gpu_yield();
  return 0;
}
// "FILE WORD": appends the word as a line; one write, so that several may.
int append(Invocation invocation) {
  const std::string text = reinterpret_cast<const char*>(invocation.payload.data);
  const std::string line = text.substr(text.find(' ') + 1) + "\n";
  std::FILE* file = std::fopen(text.substr(0, text.find(' ')).c_str(), "a");
  std::fwrite(line.data(), 1, line.size(), file);
  std::fclose(file);
  return 0;
}
int append_and_wait(Invocation invocation) {
  append(invocation);
  WaitForever();
}
int out_of_memory(Invocation) {
  TellServer("o");
  WaitForever();
}
int misuse(Invocation) {
  TellServer("m");
  WaitForever();
}
int device_error(Invocation) {
  TellServer("d");
  return 0;
}
// After it has returned, once the file PAYLOAD is there.
int device_error_later(Invocation invocation) {
  const std::string file(reinterpret_cast<const char*>(invocation.payload.data), invocation.payload.size);
  std::thread([file] {
    while (::access(file.c_str(), F_OK) != 0) ::usleep(1000);
    TellServer("d");
  }).detach();
  return 0;
}
int server_exits(Invocation) {
  TellServer("x");
  WaitForever();
}
int never_drains(Invocation) {
  TellServer("h");
  return 0;
}
// Its GPU server says that nobody is connected, so that nothing has to be drained; and would answer no drain.
int needs_no_drain(Invocation invocation) {
  char done = 0;
  (void)!::recv(TellServer("q"), &done, 1, 0);
  return never_drains(invocation);
}
// A child process has the session's one connection; the function's own has none.
int leaves_a_child(Invocation invocation) {
  char done = 0;
  (void)!::recv(TellServer("i"), &done, 1, 0);
  return never_drains(invocation);
}
int gate(Invocation invocation) {
  return static_cast<int>(::recv(TellServer("g"), invocation.result.data, 1, 0));
}
int prints(Invocation) {
  for (int i = 0; i < 20000; ++i) std::printf("line %d of many\n", i);
  return 0;
}
// A process that leaves group and parent; its pid is the result.
int detaches(Invocation invocation) {
  int ends[2];
  if (::pipe(ends) != 0) return -1;
  if (::fork() == 0) {
    ::setsid();
    const pid_t pid = ::fork();
    if (pid == 0) WaitForever();
    (void)!::write(ends[1], &pid, sizeof pid);
    ::_exit(0);
  }
  pid_t pid = 0;
  (void)!::read(ends[0], &pid, sizeof pid);
  return Write(invocation, std::to_string(pid));
}
int environment(Invocation invocation) {
  std::string text;
  for (char** entry = ::environ; *entry != nullptr; ++entry) text += std::string(*entry) + "\n";
  return Write(invocation, text);
}
}
