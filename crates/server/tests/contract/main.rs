//! The API against its own document: docs/openapi.json is what the code says, says all that clients need, and has a test for every route.

mod document;
