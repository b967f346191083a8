//! Demonstration container kinds: echo, counter, chat-room.
