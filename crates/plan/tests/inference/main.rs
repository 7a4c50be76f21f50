//! Inference on a real server: shapes of evidence, random worlds against the truth, and rows held aside.

mod collations;
mod declared;
mod fixture;
mod held;
mod meanwhile;
mod measure;
mod packed;
mod seeds;
mod settled;
mod shapes;
mod worlds;
