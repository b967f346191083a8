//! What is not the protocol, and what later versions may add.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says so by a panic"
)]

use bytes::Bytes;
use huly_protocol::{
    ContainerCall, ErrorCode, ErrorPayload, Frame, FrameError, GotContainer, KindSpec,
    LabelSelector, MAX_ID_BYTES, Op, PeerEvent, Request,
};
use proptest::prelude::*;

fn decode(parts: &[&[u8]]) -> Result<Frame, FrameError> {
    Frame::decode(parts.iter().map(|part| Bytes::copy_from_slice(part)))
}

#[test]
fn what_is_no_message_says_why() {
    assert_eq!(decode(&[]), Err(FrameError::Empty));
    for op in [&b""[..], b"10", b"x", b"-1", b"00", b"\xff"] {
        assert_eq!(decode(&[op, b"id", b"{}"]), Err(FrameError::UnknownOp));
    }
    for op in [&b"0"[..], b"1", b"2", b"3", b"7"] {
        assert_eq!(decode(&[op]), Err(FrameError::MissingId));
    }
    assert_eq!(
        decode(&[b"1", b"\xff\xfe", b"[]"]),
        Err(FrameError::IdNotText)
    );
    let id = vec![b'x'; MAX_ID_BYTES + 1];
    assert_eq!(decode(&[b"1", &id, b"[]"]), Err(FrameError::IdTooLong));
}

#[test]
fn missing_and_further_frames_are_fine() {
    assert_eq!(decode(&[b"5"]), Ok(Frame::bare(Op::Ping)));
    assert_eq!(
        decode(&[b"5", b"", b"", b"", b"more"]),
        Ok(Frame::bare(Op::Ping))
    );
}

#[test]
fn a_pong_repeats_a_number_and_nothing_longer() {
    for (ping, repeated) in [("", ""), ("17", "17"), (&"9".repeat(32), &"9".repeat(32))] {
        let pong = Frame::pong("uuid", Bytes::copy_from_slice(ping.as_bytes()));
        assert_eq!(pong, Frame::new(Op::Pong, "uuid", repeated.to_owned()));
    }
    let long = Frame::pong("uuid", Bytes::from(vec![b'9'; 33]));
    assert_eq!(long, Frame::new(Op::Pong, "uuid", ""));
}

#[test]
fn requests_need_a_method_and_may_lack_parameters() {
    assert_eq!(Request::read(br#"["al"]"#).unwrap().params.get(), "null");
    let later = Request::read(br#"["al",{"a":1},"later"]"#).unwrap();
    assert_eq!(
        (later.method.as_ref(), later.params.get()),
        ("al", r#"{"a":1}"#)
    );
    for wrong in [&b""[..], b"[]", b"{}", b"\"al\"", b"[1,{}]", b"[\"al\",{]"] {
        assert!(
            Request::read(wrong).is_err(),
            "{}",
            String::from_utf8_lossy(wrong)
        );
    }
}

#[test]
fn arrays_may_grow_and_trailing_members_may_lack() {
    let call: ContainerCall<'_> = serde_json::from_str(r#"["u","op"]"#).unwrap();
    assert_eq!(call.data.get(), "null");
    let call: ContainerCall<'_> = serde_json::from_str(r#"["u","o\n",{"a":[1]},{"x":1}]"#).unwrap();
    assert_eq!(
        (call.operation.as_ref(), call.data.get()),
        ("o\n", r#"{"a":[1]}"#)
    );
    let got: GotContainer =
        serde_json::from_str(r#"["u","e",{"kind":"k","agentId":"a"},1]"#).unwrap();
    assert_eq!(got.placement.unwrap().agent_id, "a");
}

#[test]
fn an_error_of_a_later_version_is_still_an_error() {
    let error = ErrorPayload::read(br#"{"message":"m","stack":null,"code":"fromTheFuture"}"#);
    assert_eq!(
        (error.message.as_str(), error.code),
        ("m", Some(ErrorCode::Unknown))
    );
    assert_eq!(ErrorPayload::read(b"not json").message, "not json");
    let plain = ErrorPayload::new(ErrorCode::Busy, "m").plain();
    assert_eq!(
        plain.bytes(),
        Bytes::from_static(br#"{"message":"m","stack":""}"#)
    );
}

#[test]
fn events_to_rust_peers_have_one_member() {
    let event: PeerEvent = serde_json::from_str(r#"{"term":5}"#).unwrap();
    assert_eq!(event, PeerEvent::Term(5));
    assert_eq!(serde_json::to_string(&event).unwrap(), r#"{"term":5}"#);
}

#[test]
fn a_selector_means_what_kubernetes_means_by_it() {
    let selector: LabelSelector = serde_json::from_str(
        r#"{"matchLabels":{"zone":"a"},"matchExpressions":[
            {"key":"disk","operator":"NotIn","values":["hdd"]},
            {"key":"gpu","operator":"DoesNotExist"}]}"#,
    )
    .unwrap();
    let labels = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    assert!(selector.matches(&labels(&[("zone", "a")])));
    assert!(selector.matches(&labels(&[("zone", "a"), ("disk", "ssd")])));
    assert!(!selector.matches(&labels(&[("zone", "a"), ("disk", "hdd")])));
    assert!(!selector.matches(&labels(&[("zone", "a"), ("gpu", "")])));
    assert!(!selector.matches(&labels(&[("zone", "b")])));
    assert!(LabelSelector::default().matches(&labels(&[])));
}

#[test]
fn a_specification_that_says_nothing_has_the_defaults() {
    let spec: KindSpec = serde_json::from_str(r#"{"kind":"k","revision":0}"#).unwrap();
    assert_eq!(spec, KindSpec::defaults("k"));
    assert_eq!(spec.idle_timeout_ms(), 5_000);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..6)) {
        if let Ok(frame) = Frame::decode(parts.into_iter().map(Bytes::from)) {
            let _ = Request::read(&frame.payload);
            let again = Frame::decode(frame.clone().encode()).unwrap();
            prop_assert_eq!(again, frame);
        }
    }
}
