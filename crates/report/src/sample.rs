//! A small run to render in tests, with a table named by somebody hostile.

use std::collections::BTreeMap;

use bastide_plan::{
    Class, ColumnOrigin, Config, Database, DeclaredReference, Evidence, LinkSurvey, Mode, Phase, Plan,
    Question, RootChoice, Script, StepId, TableDecision, TableSurvey, Tenant, TenantColumn, TenantRoot,
};
use bastide_record::{
    CategoryFound, CategoryOfTable, Cell, Context, Count, DISCOVERY_FORMAT, DatabaseId, DiscoveredDatabase,
    Discovery, Finding, FoundClass, Integrity, Limits, Looked, LookedState, NotLookedAt, Outcome, Path,
    PhaseRecord, Probe, RootFigures, Roots, RowsCheck, RowsVerdict, RunRecord, RunState, Severity,
    StepRecord, StepState, Strength, SuggestedReference, TableFound, Tenants, Unmeasured, UnmeasuredRoot,
    Verb, Verdict, WorstLink,
};
use bastide_sql::{Ident, LockMode, QualifiedName, Sql};
use time::OffsetDateTime;

pub(crate) const HOSTILE: &str = "<script>alert(1)</script>";

fn name(table: &str) -> QualifiedName {
    QualifiedName::new(Ident::constant("public"), Ident::new(table).unwrap())
}

pub(crate) fn plan() -> Plan {
    let uuid = Sql::trusted("uuid");
    let scoped = |origin, survey| TableDecision {
        class: Class::Scoped,
        because: "references public.shops".to_owned(),
        tenant_column: Some(TenantColumn {
            name: Ident::constant("shop_id"),
            type_name: uuid.clone(),
            origin,
        }),
        survey: Some(survey),
    };
    let evidence = Evidence { path: "public.orders.customer_id → public.customers".to_owned(), rows: 1200 };
    let orders =
        TableSurvey { rows: 2000, had_tenant: 790, inferred: vec![evidence], conflicting: 4, unreachable: 6 };
    let roots = TableSurvey { rows: 2, had_tenant: 2, ..TableSurvey::default() };
    Plan {
        format: bastide_plan::PLAN_FORMAT,
        bastide: "0.1.0".to_owned(),
        database: Database {
            name: Ident::constant("shop"),
            system_identifier: None,
            oid: 5,
            server_version: 150_018,
        },
        fingerprint: serde_json::from_str("{}").unwrap(),
        config: Config {
            root: RootChoice::Existing(name("shops")),
            app_role: Ident::constant("bastide_app"),
            exclude_schemas: Default::default(),
            exclude_tables: Default::default(),
            accept_defaults: false,
            declared: bastide_plan::Declarations::default(),
            answers: BTreeMap::new(),
        },
        root: TenantRoot {
            table: name("shops"),
            key: Ident::constant("id"),
            key_type: uuid.clone(),
            new: false,
            first_tenant: None,
        },
        quarantine: Some(Tenant {
            id: "q".to_owned(),
            name: "quarantine".to_owned(),
            slug: "quarantine".to_owned(),
        }),
        tables: BTreeMap::from([
            (name("shops"), scoped(ColumnOrigin::RootKey, roots)),
            (name("orders"), scoped(ColumnOrigin::Reused, orders)),
            (
                name(HOSTILE),
                TableDecision {
                    class: Class::Closed,
                    because: "nothing says whose its rows are".to_owned(),
                    tenant_column: None,
                    survey: None,
                },
            ),
        ]),
        links: vec![LinkSurvey {
            table: name("orders"),
            foreign_key: Ident::constant("orders_customer_fkey"),
            references: name("customers"),
            rows: 1900,
            crossing: 3,
            samples: vec!["17".to_owned(), "23".to_owned()],
        }],
        questions: vec![Question {
            id: "link:public.orders:orders_customer_id_fkey".to_owned(),
            text: "Rows of public.orders reference rows of another tenant.".to_owned(),
            choices: vec!["hold_aside".to_owned()],
            default: Some("hold_aside".to_owned()),
            answer: None,
        }],
        notes: vec!["public.daily is not granted".to_owned()],
        steps: Vec::new(),
    }
}

pub(crate) fn run(state: RunState) -> RunRecord {
    RunRecord {
        id: uuid::Uuid::nil(),
        state,
        phase: Phase::Optimisation,
        plan: plan(),
        bastide: "0.1.0".to_owned(),
        started_at: OffsetDateTime::UNIX_EPOCH,
        ended_at: None,
        error: None,
        phases: vec![
            PhaseRecord { phase: Phase::Assignment, seconds: 12.34, ended_at: None },
            PhaseRecord { phase: Phase::Policies, seconds: 0.2, ended_at: None },
        ],
        backup: None,
        backup_choice: None,
    }
}

pub(crate) fn steps() -> Vec<StepRecord> {
    let id: StepId = serde_json::from_str("\"protect_table:public.orders\"").unwrap();
    let script = |mode| Script {
        mode,
        ..Script::transaction(LockMode::AccessExclusive, vec![name("orders")], Vec::new())
    };
    vec![StepRecord {
        id,
        ordinal: 1,
        phase: Phase::Policies,
        state: StepState::Done,
        text: "turn row security on for public.orders".to_owned(),
        forward: script(Mode::Transaction),
        inverse: script(Mode::Transaction),
        cursor: None,
        rows: None,
        attempts: 3,
        waited_ms: 91.0,
        held_ms: 4.4,
        started_at: None,
        done_at: None,
        undone_at: None,
        error: None,
    }]
}

pub(crate) fn verdict(outcome: Outcome) -> Verdict {
    let probe = |verb, outcome| Probe {
        cell: Cell { object: "public.orders".to_owned(), path: Path::Table, verb, context: Context::Unset },
        outcome,
        control: "sees 790 rows of its own".to_owned(),
        reproduce: Some("SELECT count(*) FROM orders;".to_owned()),
    };
    Verdict {
        app_role: "bastide_app".to_owned(),
        own_login: true,
        scoped_tables: 2,
        database: DatabaseId { name: "shop".to_owned(), system_identifier: Some("7".to_owned()), oid: 5 },
        production: false,
        pooler: false,
        findings: vec![Finding {
            id: "BST-023".to_owned(),
            severity: Severity::Info,
            object: "public.orders".to_owned(),
            message: "the unique key spans tenants".to_owned(),
            mend: "Nothing.".to_owned(),
            pending_cutover: false,
        }],
        probes: vec![probe(Verb::ZeroRow, Outcome::Held), probe(Verb::Select, outcome)],
    }
}

/// A discovery with one of everything that can be known, estimated or missed.
pub(crate) fn discovery() -> Discovery {
    let plan = plan();
    let not_counted = || Count::NotCounted { why: "stopped after 300 s".to_owned() };
    let table = |table: &str, class, because: &str, rows| TableFound {
        table: name(table),
        class,
        because: because.to_owned(),
        tenant_column: None,
        partitions: 0,
        estimated_rows: Some(8_000_000),
        bytes: 8192,
        rows,
        tenants: None,
    };
    let orders = TableFound {
        partitions: 2,
        tenants: Some(Tenants {
            had: 790,
            could_have: 1200,
            evidence: vec![Evidence {
                path: "public.orders.customer_id → public.customers".to_owned(),
                rows: 1200,
            }],
            conflicting: 4,
            unreachable: 6,
        }),
        ..table(
            "orders",
            FoundClass::Scoped,
            "references public.shops through orders.shop_id",
            Count::Exact { rows: 2000 },
        )
    };
    let of = |table: &str, why: &str, rows, without: Option<u64>, samples: &[&str]| CategoryOfTable {
        table: name(table),
        why: why.to_owned(),
        rows,
        without_tenant: without.map(|rows| Count::Exact { rows }),
        unreachable: without.map(|rows| Count::Exact { rows }),
        samples: samples.iter().map(ToString::to_string).collect(),
    };
    Discovery {
        format: DISCOVERY_FORMAT,
        bastide: "0.1.0".to_owned(),
        taken_at: OffsetDateTime::UNIX_EPOCH,
        seconds: 3.2,
        database: DiscoveredDatabase {
            name: Ident::constant("shop"),
            server_version: 150_018,
            login: Ident::constant("reader"),
        },
        limits: Limits::default(),
        root: Some(plan.root),
        other_roots: Some(roots()),
        tenants: Some(2),
        obstacles: vec!["public.shops is not a tenant boundary".to_owned()],
        tenants_not_counted: None,
        tables: vec![
            table(HOSTILE, FoundClass::Unclear, "nothing says whose its rows are", not_counted()),
            table(
                "countries",
                FoundClass::Shared,
                "used by several tenants: 3 of 3 used rows",
                Count::Sampled { rows: 8_400_000, percent: 2.4 },
            ),
            orders,
        ],
        links: plan.links,
        links_not_counted: vec![NotLookedAt {
            object: "orders_friend_fkey of public.orders".to_owned(),
            why: "stopped after 300 s".to_owned(),
        }],
        questions: plan.questions,
        notes: vec!["public.daily is not granted".to_owned()],
        categories: vec![
            CategoryFound {
                name: "closed".to_owned(),
                declared: false,
                tables: vec![
                    of(
                        "orders",
                        "status says closed or void",
                        Count::Exact { rows: 40 },
                        Some(3),
                        &["17", HOSTILE],
                    ),
                    of(
                        "countries",
                        "status says closed or void",
                        Count::Sampled { rows: 1200, percent: 2.4 },
                        None,
                        &[],
                    ),
                    of(HOSTILE, "closed is true", not_counted(), None, &[]),
                    of("shops", "closed_at is set", Count::Exact { rows: 0 }, Some(0), &[]),
                ],
            },
            CategoryFound {
                name: "vip".to_owned(),
                declared: true,
                tables: vec![of("shops", "plan = 'gold'", Count::Exact { rows: 0 }, Some(0), &[])],
            },
        ],
        integrity: Integrity {
            suggested: vec![SuggestedReference {
                reference: DeclaredReference {
                    table: name("orders"),
                    columns: vec![Ident::constant("shop_code")],
                    references: name("shops"),
                    referenced_columns: vec![Ident::constant("code")],
                },
                tenant_code: true,
                distinct: 12,
                contained: 12,
                rows: None,
                strength: Strength::Strong,
                because: "all 12 values are in it".to_owned(),
                rivals: Vec::new(),
                toml: "[[reference]]".to_owned(),
            }],
            unmeasured: vec![Unmeasured {
                what: format!("look at public.{HOSTILE}"),
                why: "no time was left".to_owned(),
            }],
            ..Integrity::default()
        },
    }
}

/// One that is a boundary, one that is none, and one that time did not suffice for.
fn roots() -> Roots {
    let figures = |table: &str, crossing, boundary, because: &str| RootFigures {
        root: name(table),
        tenants: 59,
        tenants_with_rows: 58,
        largest_percent: 12.5,
        tables_scoped: 2,
        tables_unclear: 3,
        rows_scoped: 2652,
        conflicting: 1,
        unreachable: 6,
        rows_in_all: 15_600,
        worst_link: (crossing > 0).then(|| WorstLink {
            table: name("orders"),
            foreign_key: Ident::constant("orders_friend_fkey"),
            references: name("customers"),
            crossing,
            table_rows: 2000,
        }),
        boundary,
        because: because.to_owned(),
    };
    Roots {
        measured: vec![
            figures("customers", 0, true, "no reference crosses; 3 more tables have to be asked about"),
            figures("branches", 810, false, "810 of 2,000 rows of public.orders cross by orders_friend_fkey"),
        ],
        unmeasured: vec![UnmeasuredRoot { root: name(HOSTILE), why: "no time was left".to_owned() }],
    }
}

pub(crate) fn rows(checks: Vec<RowsCheck>) -> RowsVerdict {
    RowsVerdict {
        run: "r".to_owned(),
        bastide: "0.1.0".to_owned(),
        database: Ident::constant("shop"),
        server_version: 150_018,
        taken_at: OffsetDateTime::UNIX_EPOCH,
        exact: false,
        checks,
    }
}

pub(crate) fn check(id: &str, looked: Vec<Looked>) -> RowsCheck {
    RowsCheck { id: id.to_owned(), claim: "all is well".to_owned(), looked }
}

pub(crate) fn looked(state: LookedState, rows: u64, message: &str) -> Looked {
    let samples = if state == LookedState::Failed { vec!["7".to_owned()] } else { Vec::new() };
    Looked { object: "public.orders".to_owned(), state, rows, message: message.to_owned(), samples }
}
