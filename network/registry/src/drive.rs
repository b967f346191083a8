//! What happens with each input: the table of contents of the registry.

use huly_protocol::{Frame, Op};

use crate::registry::{ConnId, Effect, Input, Registry};
use crate::stats::Counted;
use crate::timer::Timer;

impl Registry {
    pub(crate) fn drive(&mut self, input: Input) {
        let has_read_all = matches!(input, Input::Wake);
        match input {
            Input::Message { conn, frame } => self.message(conn, frame),
            Input::Unreadable { reason } => self.bad_message(reason),
            Input::Closed { conn } => self.conn_closed(&conn),
            Input::Cut { conn } => self.conn_cut(&conn),
            Input::Slow { conn, slow } => self.conn_slow(&conn, slow),
            Input::Room { conn } => self.conn_has_room(&conn),
            Input::Wake => {}
        }
        self.read_until = self.silence_until(has_read_all);
        while let Some(timer) = self.timers.due(self.now.mono, self.read_until) {
            self.look(timer);
        }
        // Whose place is free had the first choice of where to go on.
        while std::mem::take(&mut self.freed) {
            self.place_waiting();
        }
    }

    fn look(&mut self, timer: Timer) {
        match timer {
            Timer::Settled => self.check_settled(),
            Timer::Alive(client) => self.check_alive(&client),
            Timer::Grace(client) => self.check_grace(&client),
            Timer::Idle(uuid) => self.check_idle(&uuid),
            Timer::Stop(uuid) => self.stop_again(&uuid),
            Timer::Place(uuid) => self.place_again(&uuid),
            Timer::Fence(uuid) => self.check_fence(&uuid),
            Timer::Call(call) => self.call_timed_out(call),
            Timer::Hold(uuid) => self.check_held(&uuid),
            Timer::Chunks(client) => self.check_chunks(&client),
            Timer::Events => self.send_batch(),
            Timer::Pulse => self.beat(),
        }
    }

    fn message(&mut self, conn: ConnId, frame: Frame) {
        let client = self.conns.get(&conn).cloned();
        if let Some(session) = client
            .as_ref()
            .and_then(|client| self.sessions.get_mut(client))
        {
            session.last_heard = self.now.mono;
        }
        // Over a connection that was cut a client lives, answers and leaves; all else needs a hello,
        // for what it is told must follow on what it has read.
        let client = client.filter(|client| {
            let heard = matches!(frame.op, Op::Response | Op::ResponseError | Op::Close);
            heard || self.is_bound(client, &conn)
        });
        let client = client.or_else(|| self.answerer(&frame));
        match (frame.op, client) {
            (Op::Hello, _) => self.hello(conn, &frame),
            (Op::Ping, Some(client)) => self.ping(&client, frame),
            (Op::Ping, None) => {
                // W07: pong, and ask who it is.
                let instance = self.config.instance.clone();
                self.send(conn.clone(), Frame::pong(instance.clone(), frame.payload));
                self.send(conn, Frame::new(Op::AskHello, instance, ""));
            }
            (Op::Request, Some(client)) => self.request(&client, frame),
            // W06.
            (Op::Request, None) => self.send(conn, Frame::new(Op::Retry, frame.id, "1")),
            (Op::Response | Op::ResponseError, Some(client)) => self.answer(&client, frame),
            (Op::Response | Op::ResponseError, None) => self.bad_message("unknown_answer"),
            (Op::Close, Some(client)) => self.end_session(&client, "ConnectionClosed"),
            // A close after the end is no harm: the peer wants what is already so.
            (Op::Close, None) => {}
            (Op::Event | Op::Pong | Op::Retry | Op::AskHello, _) => {
                self.bad_message("unexpected_op");
            }
        }
    }

    pub(crate) fn bad_message(&mut self, reason: &'static str) {
        Counted::add(&mut self.counted.bad_messages, reason);
    }

    pub(crate) fn send(&mut self, conn: ConnId, frame: Frame) {
        self.out.push(Effect::Send { conn, frame });
    }

    /// A line for the log: of what is rare and matters.
    pub(crate) fn note(&mut self, text: String) {
        self.out.push(Effect::Note { text });
    }
}
