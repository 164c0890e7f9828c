// What there is to be done about a server's refusals.

export const HELP = {
  not_a_picture: "The server knows no such format.",
  damaged: "The server could not read it to the end. Is the file whole?",
  too_large: "The server takes no picture of this size. Make it smaller and try again.",
  overloaded: "It was asked several times and had no place free. Try again in a while.",
  deadline: "The server gave up on it, or did not answer in time. Try again.",
  not_found: "The server does not have this model any more. Reload the page.",
  unreachable: "The server did not answer. Is it still running, and is the network there?",
  cut: "The server is there, yet the upload did not come through. The file is perhaps larger than it takes, or can no longer be read on this device.",
  cancelled: "It was not classified, because it was cancelled.",
  otherwise: (error) => (error.status >= 500 ? "The server failed" : null),
};
