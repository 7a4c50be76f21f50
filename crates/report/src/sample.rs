//! A small run to render in tests, with a table named by somebody hostile.

use std::collections::BTreeMap;

use bastide_plan::{
    Class, ColumnOrigin, Config, Database, Evidence, LinkSurvey, Mode, Phase, Plan, Question, RootChoice,
    Script, StepId, TableDecision, TableSurvey, Tenant, TenantColumn, TenantRoot,
};
use bastide_record::{
    Finding, Outcome, PhaseRecord, Probe, RunRecord, RunState, Severity, StepRecord, StepState, Verdict,
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
            PhaseRecord { phase: Phase::Assignment, seconds: 12.34 },
            PhaseRecord { phase: Phase::Policies, seconds: 0.2 },
        ],
        backup: None,
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
    let probe = |verb: &str, outcome| Probe {
        object: "public.orders".to_owned(),
        verb: verb.to_owned(),
        context: "none".to_owned(),
        outcome,
        control: "sees 790 rows of its own".to_owned(),
        reproduce: Some("SELECT count(*) FROM orders;".to_owned()),
    };
    Verdict {
        app_role: "bastide_app".to_owned(),
        own_login: true,
        scoped_tables: 2,
        findings: vec![Finding {
            id: "BST-023".to_owned(),
            severity: Severity::Info,
            object: "public.orders".to_owned(),
            message: "the unique key spans tenants".to_owned(),
            mend: "Nothing.".to_owned(),
            pending_cutover: false,
        }],
        probes: vec![probe("zero_row", Outcome::Held), probe("select", outcome)],
    }
}
