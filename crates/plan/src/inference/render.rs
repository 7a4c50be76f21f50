//! Pieces of SQL the scripts are made of.
