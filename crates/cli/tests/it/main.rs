//! The binary, from outside: as its users run it.

mod accepted;
mod around;
mod bastide;
mod compatibility;
mod crash;
mod declared;
mod discover;
mod errors;
mod legacy;
mod legacy_logins;
mod no_backup;
mod real_databases;
mod refused;
mod replay;
mod replication;
mod report;
mod row_security;
mod sealed;
mod settled;
mod settled_declared;
mod settled_partitions;
mod shapes;
mod shop;
mod there_and_back;
mod validate;
mod watch;
