// The door of a session: where the processes of one container reach their GPU server. It is a listening socket without
// a file. Its name and key travel in the environment, not as a descriptor: programs close what they did not open (every
// subprocess of Python does), and a number that was closed may since mean something else.
//
// The name alone opens nothing: everybody can read it in /proc/net/unix. The key is known to the owner, the GPU server
// and the processes of the container. Names belong to a network namespace: who gives a container one of its own makes
// the listener in there.
#pragma once

#include <string>

#include "base/result.h"
#include "os/unique_fd.h"
#include "remoting/wire/attach.h"

namespace mignificient::wire {

// "NAME:KEY". A program that is started without it has no GPU.
inline constexpr const char* kDoorVariable = "MIGNIFICIENT_GPU_DOOR";

// The owner's side.
struct Door {
  os::UniqueFd listener;  // for the GPU server, in kOpenSession
  std::string key;        // for the GPU server, as the text of kOpenSession
  std::string address;    // for the container, as the value of kDoorVariable
};
Result<Door> MakeDoor();

// The client's side: a connection through the door that the environment names, over which `request`, completed by pid
// and key, has been sent. kNotFound when it names none, kUnavailable when the session is over.
Result<os::UniqueFd> GoThroughDoor(AttachRequest request);

// Asks what the session is like, without opening a channel.
Result<View> LookThroughDoor();

}  // namespace mignificient::wire
