//! The API's contract. A route exists by being described: [`Routes`] takes nothing but [`Operation`]s, and what an operation takes, gives and
//! refuses is read off its handler's types ([`Input`], [`Output`]), so that the document cannot say anything else than the code does.

mod document;
mod draft;
mod operation;
mod query_names;

pub(crate) use document::Document;
pub(crate) use draft::{Draft, Input, Output, RolesOf};
#[allow(unused_imports, reason = "not every method has a route yet")]
pub(crate) use operation::{Routes, delete, get, patch, post, put};
