//! Inference on a real server: shapes of evidence, random graphs against a reference, and rows held aside.

mod fixture;
mod held;
mod packed;
mod random;
mod reference;
mod seeds;
mod settled;
mod shapes;
