//! Demonstration container kinds: echo, counter, chat-room. Each is a file to begin from. A
//! direct-room is a chat-room with a ROUTER of its own.

mod chat_room;
mod counter;
mod echo;

use huly_agent::Kinds;

pub use chat_room::ChatRoom;
pub use counter::Counter;
pub use echo::Echo;

/// All of them.
pub fn kinds() -> Kinds {
    Kinds::new()
        .serve("echo", |context| async { Ok(Echo::new(context)) })
        .serve("counter", |_| async { Ok(Counter::default()) })
        .serve("chat-room", |context| async { Ok(ChatRoom::new(context)) })
        .serve_direct("direct-room", |context| async {
            Ok(ChatRoom::new(context))
        })
}
