// The other end for bench/load_generator.py: answers each HTTP request at once with the same bytes, on one thread, so
// that what limits the rate is who asks. Prints its port; ends with its standard input.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <unordered_map>

namespace {

constexpr std::string_view kAnswer =
    "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nX-Call-Id: 0703adf3-ed18-4c8f-8607-36f3512e8f6c\r\n"
    "X-Start-Type: warm\r\nServer-Timing: queue;dur=0.063, exec;dur=3.331, total;dur=3.500\r\nContent-Length: 6\r\n\r\n"
    "result";

// The length of the first request in `text`; 0 while it is incomplete.
size_t RequestLength(std::string_view text) {
  const size_t end = text.find("\r\n\r\n");
  if (end == text.npos) return 0;
  constexpr std::string_view kLength = "\r\nContent-Length: ";
  const size_t field = text.substr(0, end).find(kLength);
  const size_t body = field == text.npos ? 0 : std::strtoul(text.data() + field + kLength.size(), nullptr, 10);
  const size_t length = end + 4 + body;
  return length <= text.size() ? length : 0;
}

// False when the connection is over.
bool Serve(int fd, std::string& pending) {
  std::array<char, 64 << 10> bytes;
  const ssize_t got = ::read(fd, bytes.data(), bytes.size());
  if (got <= 0) return false;
  pending.append(bytes.data(), static_cast<size_t>(got));
  while (const size_t length = RequestLength(pending)) {
    pending.erase(0, length);
    if (::write(fd, kAnswer.data(), kAnswer.size()) != static_cast<ssize_t>(kAnswer.size())) return false;
  }
  return true;
}

int Listen() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  if (::bind(fd, any, size) != 0 || ::listen(fd, 4096) != 0 || ::getsockname(fd, any, &size) != 0) {
    std::perror("listen");
    std::exit(1);
  }
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return fd;
}

void Watch(int epoll, int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

}  // namespace

int main() {
  const int listening = Listen();
  const int epoll = ::epoll_create1(0);
  Watch(epoll, listening);
  Watch(epoll, STDIN_FILENO);
  std::unordered_map<int, std::string> connections;
  std::array<epoll_event, 256> events;
  while (true) {
    const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<size_t>(i)].data.fd;
      if (fd == STDIN_FILENO) return 0;
      if (fd == listening) {
        const int accepted = ::accept(listening, nullptr, nullptr);
        const int on = 1;
        ::setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections[accepted];
        Watch(epoll, accepted);
      } else if (!Serve(fd, connections[fd])) {
        connections.erase(fd);
        ::close(fd);
      }
    }
  }
}
