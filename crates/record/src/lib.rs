//! What a run and a verification leave behind, as plain data: written by `engine` and `verify`, read by `report` and the
//! command line. A crate of its own so that a report can be made without anything that could reach a database.

mod baseline;
mod discovery;
mod integrity;
mod probe;
mod roots;
mod rows;
mod run;
mod sighting;
mod verdict;

pub use baseline::*;
pub use discovery::*;
pub use integrity::*;
pub use probe::*;
pub use roots::*;
pub use rows::*;
pub use run::*;
pub use sighting::*;
pub use verdict::*;
