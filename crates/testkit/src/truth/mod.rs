//! Measuring inference against what is true: how many of the rows it assigned are right, and how many it should have
//! assigned it did.
//!
//! Nothing here shares code with `bastide_plan::inference`. [`Visible`] reads the rows and their references into memory,
//! from the server's own catalog; [`fixpoint`] goes over them one by one and naively; [`Components`] asks only what hangs
//! together. [`World`] is a database whose true tenants are known because it was built that way.
//!
//! What the words mean:
//!
//! - *open*: a row of a scoped table whose tenant column is NULL or does not exist.
//! - *decidable*: an open row that the fixpoint gives one tenant. In a world without crossing links and shared rows that
//!   must be the same as: an open row that hangs together (undirected) with a row whose tenant is filled in or declared.
//! - *assigned*: an open row that inference gave a tenant other than quarantine.
//! - *right*: an assigned row of one tenant that was given that tenant. To assign a row that several tenants truly use is
//!   never right.
//! - *precision*: right / assigned. *Coverage*: decidable rows that were assigned / decidable rows.
//!
//! Where links cross or shared rows pose as one tenant's, precision cannot be 1 for anybody who sees only what is left, so
//! a wrong row there is told apart further:
//!
//! - *told*: the filled tenants that it hangs together with are several. Then some link there joins two tenants, or ends
//!   at a row in conflict or without a tenant, and is counted as crossing: the operator hears of it before anything moves.
//! - *misled*: they all name the tenant it was given. Nothing in the database says otherwise.
//! - Anything else would be a *silent* mistake, and fails the test.

mod fixpoint;
mod grow;
mod judge;
mod tally;
mod visible;
mod world;

pub use fixpoint::{Components, Own, State, fixpoint};
pub use grow::{Kind, worlds};
pub use judge::{True, connected, crossings, judge};
pub use tally::{Tally, print};
pub use visible::{Link, Place, Scope, Undeclared, Visible};
pub use world::{Key, Reference, Row, Says, Table, TenantKey, Through, Truth, World};
