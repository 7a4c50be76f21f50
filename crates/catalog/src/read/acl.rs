//! Grants, of every kind of object at once.

use std::collections::HashMap;

use super::{ReadError, rows::Reader};
use crate::{Acl, AclItem, Privilege};

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    Relation(u32),
    Column(u32, i32),
    Schema(u32),
    Function(u32),
    Default(u32),
    Database(u32),
}

pub(super) struct Acls(HashMap<Holder, Acl>);

impl Acls {
    /// `None` where the catalog has NULL: the built-in defaults hold.
    pub(super) fn of(&self, holder: Holder) -> Option<Acl> {
        self.0.get(&holder).cloned()
    }
}

pub(super) async fn read(reader: &Reader<'_>, relations: &[u32]) -> Result<Acls, ReadError> {
    let mut acls: HashMap<Holder, Acl> = HashMap::new();
    let mut last = None;
    for row in reader.rows("grants", include_str!("acl.sql"), &[&relations]).await? {
        let (oid, subid) = (row.get("oid")?, row.get("subid")?);
        let class: String = row.get("class")?;
        let holder = match class.as_str() {
            "relation" => Holder::Relation(oid),
            "column" => Holder::Column(oid, subid),
            "schema" => Holder::Schema(oid),
            "function" => Holder::Function(oid),
            "default" => Holder::Default(oid),
            "database" => Holder::Database(oid),
            _ => return Err(ReadError::Unknown { what: row.what, column: "class", value: class }),
        };
        let acl = acls.entry(holder).or_default();
        let (Some(position), Some(kind)) =
            (row.get::<Option<i64>>("position")?, row.get::<Option<String>>("kind")?)
        else {
            continue;
        };
        let privilege = Privilege { kind, grantable: row.get("grantable")? };
        match acl.last_mut() {
            Some(item) if last == Some((holder, position)) => item.privileges.push(privilege),
            _ => acl.push(AclItem {
                grantee: row.ident_or_none("grantee")?,
                grantor: row.ident("grantor")?,
                privileges: vec![privilege],
            }),
        }
        last = Some((holder, position));
    }
    Ok(Acls(acls))
}
