//! What a type looks like, for the API's document: a test holds each example against its schema.

use serde_json::Value;

pub trait Example {
    /// As it is sent.
    fn example() -> Value;
}
