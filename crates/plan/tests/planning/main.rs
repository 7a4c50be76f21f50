//! Planning against real schemas, with what it asks about measured on a real server.

mod defaults;
mod legacy;
mod migrated;
mod run;
mod survey;
