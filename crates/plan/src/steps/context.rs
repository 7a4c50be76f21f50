//! What a policy, a default and a trigger say about the tenant context, in SQL and in the server's own rendering of it.

use bastide_catalog::{Policy, PolicyCommand, TypeName};
use bastide_sql::{Fragment, Ident, Literal, Sql, join, sql};

/// The NOLOGIN BYPASSRLS role that owns what Bastide leaves in a database.
pub(super) fn bastide_owner() -> Ident {
    Ident::constant("bastide_owner")
}

pub(super) fn tenant_policy() -> Ident {
    Ident::constant("bastide_tenant")
}

pub(super) fn legacy_policy() -> Ident {
    Ident::constant("bastide_legacy")
}

/// `bastide.current_tenant()` as the column's type.
pub(super) fn current_tenant(column_type: &TypeName) -> Sql {
    sql!("bastide.current_tenant()::{}", open_type(column_type))
}

/// The same as the server prints it.
pub(super) fn printed_current_tenant(column_type: &TypeName) -> Sql {
    let open = open_type(column_type);
    if open.as_str() == "text" {
        sql!("bastide.current_tenant()")
    } else {
        sql!("(bastide.current_tenant())::{}", open)
    }
}

/// The type without its length. A cast to `varchar(20)` cuts a longer value down to 20 characters in silence, and so to
/// what may be another tenant's id; without the length it stays what it is and matches nothing.
pub(super) fn open_type(column_type: &TypeName) -> TypeName {
    let text = column_type.as_str();
    if text == "character" || text.starts_with("character(") {
        return sql!("bpchar");
    }
    if text.contains('"') || text.starts_with("bit") {
        return column_type.clone();
    }
    let mut open = String::with_capacity(text.len());
    let mut depth = 0_u32;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => open.push(c),
            _ => {}
        }
    }
    Sql::trusted(open)
}

/// The cast stands inside the sub-select, so it is done once per statement, and the column is never cast.
pub(super) fn tenant_predicate(column: &Ident, column_type: &TypeName) -> Sql {
    sql!("{} = (SELECT {})", column, current_tenant(column_type))
}

pub(super) fn create_tenant_policy(
    table: &dyn Fragment,
    column: &Ident,
    column_type: &TypeName,
    role: &Ident,
) -> Sql {
    let predicate = tenant_predicate(column, column_type);
    sql!(
        "CREATE POLICY {} ON {} AS PERMISSIVE FOR ALL TO {} USING ({}) WITH CHECK ({})",
        tenant_policy(),
        table,
        role,
        predicate,
        predicate
    )
}

pub(super) fn create_legacy_policy(table: &dyn Fragment, roles: &[Ident]) -> Sql {
    sql!(
        "CREATE POLICY {} ON {} AS PERMISSIVE FOR ALL TO {} USING (true) WITH CHECK (true)",
        legacy_policy(),
        table,
        join(roles, ", ")
    )
}

/// The strict policy as the catalog has it.
pub(super) fn projected_tenant_policy(column: &Ident, column_type: &TypeName, roles: Vec<Ident>) -> Policy {
    let context = sql!("( SELECT {} AS current_tenant)", printed_current_tenant(column_type));
    // varchar has no operators of its own: both sides are read as text.
    let predicate = if open_type(column_type).as_str() == "character varying" {
        sql!("(({})::text = ({})::text)", Plain(column), context)
    } else {
        sql!("({} = {})", Plain(column), context)
    };
    Policy {
        name: tenant_policy(),
        permissive: true,
        command: PolicyCommand::All,
        roles,
        using: Some(predicate.clone()),
        with_check: Some(predicate),
    }
}

pub(super) fn projected_legacy_policy(roles: &[Ident]) -> Policy {
    Policy {
        name: legacy_policy(),
        permissive: true,
        command: PolicyCommand::All,
        roles: roles.to_vec(),
        using: Some(sql!("true")),
        with_check: Some(sql!("true")),
    }
}

/// A name as the server prints it: quoted only when it must be. For projections, never for what is sent.
pub(super) struct Plain<'a, T>(pub(super) &'a T);

impl<T: std::fmt::Display> Fragment for Plain<'_, T> {
    fn write_sql(&self, out: &mut String) {
        out.push_str(&self.0.to_string());
    }
}

/// A body in dollar quotes whose tag the body does not contain.
pub(super) struct DollarQuoted(pub(super) Sql);

impl Fragment for DollarQuoted {
    fn write_sql(&self, out: &mut String) {
        let mut tag = String::from("$bastide$");
        while self.0.as_str().contains(&tag) {
            tag.insert(1, '_');
        }
        for part in [&tag, self.0.as_str(), &tag] {
            out.push_str(part);
        }
    }
}

/// What we make is nobody's but its owner's, whatever default privileges the migrating login has set; grants come after it.
pub(super) fn nobody_elses(relations: &[&'static str], functions: &[&'static str]) -> Sql {
    let quoted =
        |names: &[&'static str]| sql!("{}", join(names.iter().map(|name| Literal::text(*name)), ", "));
    block(sql!(
        "DECLARE
    opened record;
BEGIN
    FOR opened IN SELECT DISTINCT made.object, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee
                  FROM (SELECT c.oid::regclass::text AS object, c.relacl AS acl, c.relowner AS owner FROM pg_class c WHERE c.oid = ANY (ARRAY[{}]::regclass[])
                        UNION ALL
                        SELECT format('FUNCTION %s', p.oid::regprocedure), COALESCE(p.proacl, acldefault('f', p.proowner)), p.proowner
                        FROM pg_proc p WHERE p.oid = ANY (ARRAY[{}]::regprocedure[])) AS made, aclexplode(made.acl) a
                  WHERE a.grantee <> made.owner LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s CASCADE', opened.object, opened.grantee);
    END LOOP;
END",
        quoted(relations),
        quoted(functions)
    ))
}

/// An anonymous block: what needs a condition that plain SQL cannot express.
pub(super) fn block(body: Sql) -> Sql {
    sql!("DO {}", DollarQuoted(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cast_never_shortens_what_was_given() {
        let open = |text: &str| open_type(&Sql::trusted(text)).to_string();
        assert_eq!(open("character varying(20)"), "character varying");
        assert_eq!(open("character(5)"), "bpchar");
        assert_eq!(open("numeric(10,0)"), "numeric");
        assert_eq!(open("timestamp(3) without time zone"), "timestamp without time zone");
        assert_eq!(open(r#"public."Odd(1)""#), r#"public."Odd(1)""#);
        assert_eq!(open("uuid"), "uuid");
    }

    #[test]
    fn a_body_cannot_end_its_own_quotes() {
        let text = sql!("{}", DollarQuoted(Sql::trusted("a $bastide$ b")));
        assert_eq!(text.as_str(), "$_bastide$a $bastide$ b$_bastide$");
    }
}
