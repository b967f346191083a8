//! The tries of a request that is sent again as if it had never been: each is marked in what it
//! carries, so that it is seen which of them runs.

use huly_protocol::{Frame, Op, Request, method};
use serde_json::Value;

/// Bits of what a request carries that are its number; the others are that of the try.
const NUMBER: u32 = 40;

/// The number of the request that carries this.
pub(crate) fn number_of(carried: u64) -> u64 {
    carried % (1 << NUMBER)
}

/// Which of its tries carries this; the first is 0.
pub(crate) fn try_of(carried: u64) -> u64 {
    carried >> NUMBER
}

/// The number of the request that a message of a client carries.
pub(crate) fn counted(frame: &Frame) -> Option<u64> {
    let call = read(frame)?;
    carried(&call).and_then(Value::as_u64).map(number_of)
}

/// The message as that of a later try.
pub(crate) fn marked(frame: Frame, number: u64, of_try: u64) -> Frame {
    let Some(mut call) = read(&frame).filter(|_| of_try > 0) else {
        return frame;
    };
    if let Some(carried) = carried_mut(&mut call) {
        *carried = (of_try << NUMBER | number).into();
    }
    Frame::new(frame.op, frame.id, call.to_string())
}

fn read(frame: &Frame) -> Option<Value> {
    let request = Request::read(&frame.payload)
        .ok()
        .filter(|_| frame.op == Op::Request)?;
    let counts = matches!(request.method.as_ref(), method::CONTAINER_REQUEST | "count");
    counts.then(|| serde_json::from_slice(&frame.payload).ok())?
}

/// By the network or an agent, or by the container's own ROUTER.
fn place(call: &Value) -> &'static str {
    match call[0] == method::CONTAINER_REQUEST {
        true => "/1/2",
        false => "/1",
    }
}

fn carried(call: &Value) -> Option<&Value> {
    call.pointer(place(call))
}

fn carried_mut(call: &mut Value) -> Option<&mut Value> {
    call.pointer_mut(place(call))
}
