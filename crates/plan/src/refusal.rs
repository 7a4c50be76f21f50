//! Why a database cannot be planned for: each a sentence with the object, what was expected, and what to type next.

use bastide_catalog::{Catalog, TriggerEnabled};
use bastide_sql::{Ident, QualifiedName};

use crate::{boundary::question_id, classify, file::quoted, survey::LinkSurvey};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    #[error("there is no table {root} in this database{}", near_names(.near))]
    RootNotFound { root: QualifiedName, near: Vec<QualifiedName> },

    #[error(
        "{root} is {what}; the tenant root must be an ordinary table: name another with --tenant-root schema.table"
    )]
    RootNotATable { root: QualifiedName, what: &'static str },

    #[error(
        "{root} has no key of one column that is NOT NULL and not deferrable; a tenant is known by one value: \
         add such a key, or name another table with --tenant-root schema.table"
    )]
    RootWithoutKey { root: QualifiedName },

    #[error(
        "the key {key} of {root} is compared by the collation {collation}, which calls values equal that are not the same, \
         and policies would give both tenants' rows to either; add a key of one column without it (an id will do), or name \
         another table with --tenant-root schema.table"
    )]
    RootKeyCollation { root: QualifiedName, key: Ident, collation: Box<QualifiedName> },

    #[error(
        "{root} is the tenant root and excluded at the same time; leave out --exclude-table or --exclude-schema"
    )]
    RootExcluded { root: QualifiedName },

    #[error(
        "a {what} named {root} is there already; choose another name with --new-tenant-root, \
         or use the table as it is with --tenant-root {root}"
    )]
    NewRootTaken { root: QualifiedName, what: &'static str },

    #[error("the schema {schema} is not there; create it, or name the new root in one that is, for example --new-tenant-root {}", in_public(.root))]
    NewRootSchema { root: QualifiedName, schema: Ident },

    #[error("{of}: {why}")]
    Declaration { of: String, why: String },

    #[error(
        "{table} holds tenants' rows, but is {what}, which Bastide cannot protect; leave it out with --exclude-table {table}"
    )]
    UnsupportedTable { table: QualifiedName, what: &'static str },

    #[error("{}", not_a_boundary(.root, .links, .better.as_deref()))]
    NotABoundary { root: QualifiedName, links: Vec<CrossingLink>, better: Option<Box<BetterRoots>> },

    #[error(
        "{table} has permissive policies beside Bastide's ({}), which open what that closes; run DROP POLICY for each", listed(.policies)
    )]
    ForeignPolicies { table: QualifiedName, policies: Vec<Ident> },

    #[error(
        "the policy {policy} of {table} names the application's login {role}, to whom only Bastide's policies may apply; \
         run DROP POLICY {policy} ON {table}, or choose another login with --app-role"
    )]
    PolicyOfApp { table: QualifiedName, policy: Ident, role: Ident },

    #[error(
        "{child} is excluded, but its rows are read through {parent}, which is scoped; exclude both or neither"
    )]
    ExcludedChild { child: QualifiedName, parent: QualifiedName },

    #[error(
        "{object}: {why}, but PUBLIC has {} on it, and so would the application; run REVOKE {} ON {object} FROM PUBLIC \
         and grant to the roles that need it by name", .privileges.join(", "), .privileges.join(", ")
    )]
    OpenToPublic { object: QualifiedName, why: String, privileges: Vec<String> },

    #[error(
        "{object}: {why}, but the application's login {role} has {} on it; run REVOKE {} ON {object} FROM {role}",
        .privileges.join(", "), .privileges.join(", ")
    )]
    OpenToApp { object: String, why: String, privileges: Vec<String>, role: Ident },

    #[error(
        "{object}: {} on it is given to {}, which PostgreSQL gives to nobody by itself; run REVOKE {} ON {}{object} FROM {} and \
         grant to the roles that need it by name", .privileges, public_or(.grantee), .privileges,
        if *.routine { "ROUTINE " } else { "" }, public_or(.grantee)
    )]
    Withheld { object: String, routine: bool, privileges: String, grantee: Option<Ident> },

    #[error(
        "{view} shows whoever may read it values of any rows, out of statistics on expressions: the database is of before 15.7 or \
         16.3, and an update leaves the view as it was (CVE-2024-4317); run REVOKE SELECT ON {view} FROM {}, or the \
         fix-CVE-2024-4317.sql that comes with PostgreSQL", public_or(.grantee)
    )]
    StatisticsShown { view: String, grantee: Option<Ident> },

    #[error(
        "{of} presets {setting}, and by it whose rows a connection sees, or whether policies and keys hold for it; run {reset}"
    )]
    Preset { of: String, setting: String, reset: String },

    #[error(
        "{} may create objects in schemas that {role} makes later; run ALTER DEFAULT PRIVILEGES FOR ROLE {role} REVOKE CREATE ON \
         SCHEMAS FROM {}", public_or(.grantee), public_or(.grantee)
    )]
    SchemasOpenByDefault { role: Ident, grantee: Option<Ident> },

    #[error(
        "the function {function} is IMMUTABLE and reads a tenant context, so plans keep the answer of another tenant; run \
         ALTER ROUTINE {function} STABLE"
    )]
    PureContextReader { function: String },

    #[error(
        "each UPDATE of {table} fails, the shop's as well as ours, since it is published without what tells its rows apart ({said}); \
         run ALTER TABLE {table} REPLICA IDENTITY FULL, or take it out of the publication {}", listed(.publications)
    )]
    PublishedWithoutIdentity { table: QualifiedName, said: String, publications: Vec<Ident> },

    #[error(
        "the subscription {subscription} writes rows to {table}, which no trigger sees, so they come without a tenant, and the \
         subscription stops at the first; leave the table out with --exclude-table {table}, or run ALTER SUBSCRIPTION {subscription} \
         DISABLE until its publisher sends a tenant as well"
    )]
    FilledBySubscription { table: QualifiedName, subscription: Ident },

    #[error(
        "tables that {role} makes later{} would be granted to {} ({}) before anything protects them; run \
         ALTER DEFAULT PRIVILEGES FOR ROLE {role}{} REVOKE {} ON TABLES FROM {} and grant on each table by name",
        in_schema(.schema), public_or(.grantee), .privileges.join(", "), sql_in_schema(.schema), .privileges.join(", "),
        public_or(.grantee)
    )]
    OpenByDefault { role: Ident, schema: Option<Ident>, grantee: Option<Ident>, privileges: Vec<String> },

    #[error(
        "PUBLIC has SET on the parameter {parameter}, under which {}, and so would the application; run REVOKE SET ON PARAMETER \
         {parameter} FROM PUBLIC and grant to the roles that need it by name", unchecked(.parameter)
    )]
    ParameterOpenToPublic { parameter: String },

    #[error(
        "{} has {privilege} on the parameter {parameter}, which is for superusers to set; run REVOKE {privilege} ON PARAMETER \
         {parameter} FROM {}", public_or(.grantee), public_or(.grantee)
    )]
    ParameterGranted { parameter: String, privilege: String, grantee: Option<Ident> },

    #[error(
        "{table} is a foreign table, which no policy filters, so it cannot be shared with the application; answer `closed` \
         to class:{table}, or leave it out with --exclude-table {table}"
    )]
    SharedForeignTable { table: QualifiedName },

    #[error(
        "the trigger {trigger} of {table} is ENABLE {}, so it would fire for Bastide's own writes; \
         run ALTER TABLE {table} ENABLE TRIGGER {trigger} first", mode(.enabled)
    )]
    TriggerAlwaysFires { table: QualifiedName, trigger: Ident, enabled: TriggerEnabled },

    #[error(
        "{table} has a trigger named {trigger}, by which Bastide gives rows of legacy statements their tenant; rename it first"
    )]
    TriggerNameTaken { table: QualifiedName, trigger: Ident },

    #[error(
        "the rule {rule} of {table} is ENABLE {}, so it would rewrite Bastide's own writes; \
         run ALTER TABLE {table} ENABLE RULE {rule} first", mode(.enabled)
    )]
    RuleAlwaysFires { table: QualifiedName, rule: Ident, enabled: TriggerEnabled },

    #[error(
        "the rule {rule} of {table} leads to {touched}, which is not scoped, with the rights of {owner}, whoever writes; \
         run DROP RULE {rule} ON {table} (a trigger can do the same with the writer's own rights), or leave the table out \
         with --exclude-table {table}"
    )]
    RuleLeads { table: QualifiedName, rule: Ident, touched: Box<QualifiedName>, owner: Ident },

    #[error(
        "{table} has columns named tenant_id and bastide_tenant_id, neither of which names its tenant; rename one of them"
    )]
    ColumnTaken { table: QualifiedName },

    #[error(
        "{table} has {columns} columns; PostgreSQL allows 1,600, so the tenant column does not fit; drop one, or leave \
         the table out with --exclude-table {table}"
    )]
    TooManyColumns { table: QualifiedName, columns: usize },

    #[error("the foreign key {foreign_key} of {table} cannot be kept inside a tenant: {why}; {mend}")]
    ForeignKeyShape { table: QualifiedName, foreign_key: Ident, why: &'static str, mend: String },

    #[error("the application's login {role} {why}; give it none of that, or choose another with --app-role")]
    AppRole { role: Ident, why: String },

    #[error("the question {id} has the answer `{answer}`; it takes {}", one_of(.choices))]
    BadAnswer { id: String, answer: String, choices: Vec<String> },

    #[error(
        "nothing in this database would be scoped by {root}: no table references it; name another table with --tenant-root schema.table"
    )]
    NothingScoped { root: QualifiedName },

    #[error("[[category]] {category}, key `{key}`: {why}")]
    Category { category: String, key: &'static str, why: String },

    #[error("{option} {given}: there is no such {what} in this database{}", did_you_mean(.near))]
    NothingToExclude { option: &'static str, given: String, what: &'static str, near: Vec<String> },

    #[error("the server is PostgreSQL {}; Bastide needs 15 to 18", .version / 10_000)]
    ServerVersion { version: u32 },
}

/// A link on which more rows cross than an accident explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossingLink {
    pub link: LinkSurvey,
    /// Rows of the referencing table.
    pub table_rows: u64,
}

/// `--exclude-table` names no table.
#[must_use]
pub fn no_table_to_exclude(catalog: &Catalog, table: &QualifiedName) -> Refusal {
    let near = classify::near(catalog, table).iter().map(ToString::to_string).collect();
    Refusal::NothingToExclude { option: "--exclude-table", given: table.to_string(), what: "table", near }
}

/// `--exclude-schema` names no schema.
#[must_use]
pub fn no_schema_to_exclude(catalog: &Catalog, schema: &Ident) -> Refusal {
    let near = catalog.schemas.keys().filter(|other| {
        classify::distance(&other.as_str().to_lowercase(), &schema.as_str().to_lowercase()) <= 2
    });
    let near = near.map(ToString::to_string).collect();
    Refusal::NothingToExclude { option: "--exclude-schema", given: schema.to_string(), what: "schema", near }
}

/// Other tables that were measured as the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BetterRoots {
    /// Those that are boundaries, best first, each with one sentence.
    pub boundaries: Vec<(QualifiedName, String)>,
    /// Those that are none, each with the reason.
    pub others: Vec<(QualifiedName, String)>,
    /// Those for which no time was left, or that could not be measured.
    pub unmeasured: Vec<QualifiedName>,
}

fn near_names(near: &[QualifiedName]) -> String {
    match near {
        [] => "; write it as the catalog has it, for example --tenant-root public.merchants".to_owned(),
        names => {
            format!("; did you mean {}?", one_of(&names.iter().map(ToString::to_string).collect::<Vec<_>>()))
        }
    }
}

pub(crate) fn did_you_mean(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", one_of(near)) }
}

fn in_public(root: &QualifiedName) -> String {
    format!("public.{}", root.name)
}

fn not_a_boundary(root: &QualifiedName, links: &[CrossingLink], better: Option<&BetterRoots>) -> String {
    let mut text = format!("{root} is not a tenant boundary: these references join different tenants:");
    for link in links {
        text.push_str(&format!("\n  {}", crossing(link)));
    }
    if let Some(better) = better {
        text.push_str(&better_roots(better));
    }
    text.push_str(&format!(
        "\nname another table with --tenant-root schema.table, or make one with --new-tenant-root name; to take {root} all \
         the same, and settle what crosses by question, write in bastide.toml\n  [answers]\n  {} = \"accept\"",
        quoted(&question_id(root))
    ));
    text
}

/// `12,035 of 16,044 rows of public.rental cross by rental_customer_id_fkey to public.customer`
pub(crate) fn crossing(CrossingLink { link, table_rows }: &CrossingLink) -> String {
    format!(
        "{} of {} rows of {} cross by {} to {}",
        thousands(link.crossing),
        thousands(*table_rows),
        link.table,
        link.foreign_key,
        link.references,
    )
}

fn better_roots(BetterRoots { boundaries, others, unmeasured }: &BetterRoots) -> String {
    let mut text = String::new();
    match (boundaries.as_slice(), others.as_slice()) {
        ([], []) => {}
        ([], _) => text.push_str("\nno other table that was measured is a boundary either:"),
        _ => text.push_str("\nmeasured the same way, these are boundaries:"),
    }
    for (root, because) in boundaries {
        text.push_str(&format!("\n  --tenant-root {root}: {because}"));
    }
    if !boundaries.is_empty() && !others.is_empty() {
        text.push_str("\nand these are not:");
    }
    for (root, because) in others {
        text.push_str(&format!("\n  {root}: {because}"));
    }
    if !unmeasured.is_empty() {
        let names: Vec<String> = unmeasured.iter().map(ToString::to_string).collect();
        text.push_str(&format!("\nnot measured: {}", names.join(", ")));
    }
    text
}

fn listed(names: &[Ident]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn in_schema(schema: &Option<Ident>) -> String {
    schema.as_ref().map_or_else(String::new, |schema| format!(" in the schema {schema}"))
}

fn sql_in_schema(schema: &Option<Ident>) -> String {
    schema.as_ref().map_or_else(String::new, |schema| format!(" IN SCHEMA {schema}"))
}

fn public_or(grantee: &Option<Ident>) -> String {
    grantee.as_ref().map_or_else(|| "PUBLIC".to_owned(), ToString::to_string)
}

fn unchecked(parameter: &str) -> &'static str {
    match parameter {
        "session_replication_role" => "no foreign key and no trigger fires",
        _ => "the server checks less, or runs other code",
    }
}

fn mode(enabled: &TriggerEnabled) -> &'static str {
    match enabled {
        TriggerEnabled::Replica => "REPLICA",
        TriggerEnabled::Always => "ALWAYS",
        TriggerEnabled::Origin | TriggerEnabled::Disabled => "ORIGIN",
    }
}

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn one_of(choices: &[String]) -> String {
    match choices {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// `12,035`
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
