use huly_protocol::{Frame, Op};
use serde_json::Value;

/// What a TypeScript peer gets must be what its own server might send.
pub(super) fn check(frame: &Frame) {
    let text = frame.payload_text().into_owned();
    // Containers' own data may say anything; tests do not let it say this.
    for word in [
        "\"huly\":",
        "\"code\":",
        "\"rejections\":",
        "\"held\":",
        "\"feed\":",
    ] {
        assert!(!text.contains(word), "sent to a TypeScript peer: {text}");
    }
    match frame.op {
        Op::Hello => assert_eq!(text, ""),
        Op::Request => {
            let call: Value = serde_json::from_str(&text).unwrap();
            let method = call[0].as_str().unwrap();
            assert!(["gg", "cl", "cs", "ct"].contains(&method), "{text}");
            assert_eq!(call[1].as_array().unwrap().len(), 2, "{text}");
        }
        Op::Event => {
            let event: Value = serde_json::from_str(&text).unwrap();
            assert!(event["agents"].is_array() && event["containers"].is_array());
        }
        _ => {}
    }
}
