//! An event trigger notes what is created, altered, granted or dropped in the schema, so that a running server's drift has a time and a login to
//! it. It makes nobody's statement fail: what goes wrong while noting is left out.

use bastide_catalog::{Catalog, EventTrigger, TriggerEnabled};
use bastide_sql::{Ident, QualifiedName, Sql, sql};
use serde::{Deserialize, Serialize};

use super::context;
use crate::Script;

/// Only superusers may create one, which a run's connection is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchDdl {
    pub app: Ident,
}

/// Both, since what is dropped is only known to the second. In the catalog's order.
pub(crate) const EVENT_TRIGGERS: [&str; 2] = ["bastide_ddl", "bastide_ddl_dropped"];

/// `session_user` is who says it, whatever role they took. A run of Bastide's has its id in a setting. What is temporary is nobody's business,
/// and schema `bastide` is our own but for its functions, which policies call.
const BODY: &str = "DECLARE
    run text := NULLIF(current_setting('bastide.run', true), '');
BEGIN
    IF tg_event = 'sql_drop' THEN
        INSERT INTO bastide.ddl (run, command, object)
            SELECT run, tg_tag, format('%s %s', o.object_type, o.object_identity) FROM pg_event_trigger_dropped_objects() o
            WHERE o.original AND NOT o.is_temporary AND o.object_type <> 'index'
              AND (o.schema_name IS DISTINCT FROM 'bastide' OR o.object_type = 'function');
    ELSE
        INSERT INTO bastide.ddl (run, command, object)
            SELECT run, c.command_tag, concat_ws(' ', c.object_type, c.object_identity) FROM pg_event_trigger_ddl_commands() c
            WHERE c.object_type NOT IN ('index', 'sequence') AND c.schema_name IS DISTINCT FROM 'pg_temp'
              AND (c.schema_name IS DISTINCT FROM 'bastide' OR c.object_type = 'function');
    END IF;
EXCEPTION WHEN OTHERS THEN
    -- Nobody's statement fails for being watched.
    NULL;
END";

impl WatchDdl {
    pub(super) fn subject(&self) -> String {
        "bastide".to_owned()
    }

    pub(super) fn describe(&self) -> String {
        "note changes of the schema in bastide.ddl, by an event trigger".to_owned()
    }

    pub(super) fn forward(&self) -> Script {
        let owner = context::bastide_owner();
        let [changed, dropped] = EVENT_TRIGGERS.map(Ident::constant);
        Script::unlocked(vec![
            sql!(
                "CREATE TABLE bastide.ddl (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    login text NOT NULL DEFAULT session_user,
    run text,
    command text NOT NULL,
    object text
)"
            ),
            sql!(
                "CREATE FUNCTION bastide.note_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $body$
{}
$body$",
                Sql::trusted(BODY)
            ),
            // After an id; after none, the newest alone.
            sql!(
                "CREATE FUNCTION bastide.ddl_since(after bigint)
    RETURNS TABLE (id bigint, at timestamptz, login text, run text, command text, object text)
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    AS $body$ SELECT d.id, d.at, d.login, d.run, d.command, d.object FROM bastide.ddl d 
        WHERE d.id > coalesce(after, (SELECT max(m.id) FROM bastide.ddl m) - 1) ORDER BY d.id LIMIT 200 $body$"
            ),
            sql!("ALTER TABLE bastide.ddl OWNER TO {}", owner),
            sql!("ALTER FUNCTION bastide.note_ddl() OWNER TO {}", owner),
            sql!("ALTER FUNCTION bastide.ddl_since(bigint) OWNER TO {}", owner),
            context::nobody_elses(&["bastide.ddl"], &["bastide.note_ddl()", "bastide.ddl_since(bigint)"]),
            sql!("GRANT EXECUTE ON FUNCTION bastide.ddl_since(bigint) TO {}", self.app),
            sql!("CREATE EVENT TRIGGER {} ON ddl_command_end EXECUTE FUNCTION bastide.note_ddl()", changed),
            sql!("CREATE EVENT TRIGGER {} ON sql_drop EXECUTE FUNCTION bastide.note_ddl()", dropped),
        ])
    }

    pub(super) fn inverse(&self) -> Script {
        let [changed, dropped] = EVENT_TRIGGERS.map(Ident::constant);
        Script::unlocked(vec![
            sql!("DROP EVENT TRIGGER {}", dropped),
            sql!("DROP EVENT TRIGGER {}", changed),
            sql!("DROP FUNCTION bastide.ddl_since(bigint)"),
            sql!("DROP FUNCTION bastide.note_ddl()"),
            sql!("DROP TABLE bastide.ddl"),
        ])
    }

    pub(super) fn apply(&self, catalog: &mut Catalog) {
        let function = QualifiedName::new(Ident::constant("bastide"), Ident::constant("note_ddl"));
        catalog.event_triggers.extend(EVENT_TRIGGERS.map(|name| EventTrigger {
            name: Ident::constant(name),
            function: function.clone(),
            enabled: TriggerEnabled::Origin,
        }));
        catalog.event_triggers.sort_by(|one, other| one.name.cmp(&other.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{
        Step,
        trial::{RUN, Trial, ident, show},
    };

    fn step() -> Step {
        Step::WatchDdl(WatchDdl { app: ident("bastide_app") })
    }

    #[test]
    fn scripts() {
        insta::assert_snapshot!(step().id(), @"watch_ddl:bastide");
        insta::assert_snapshot!(step().describe(), @"note changes of the schema in bastide.ddl, by an event trigger");
        let forward = show(&step().forward());
        let ends: Vec<&str> = forward.lines().rev().take(3).collect();
        insta::assert_snapshot!(ends.join("\n"), @r#"
        CREATE EVENT TRIGGER "bastide_ddl_dropped" ON sql_drop EXECUTE FUNCTION bastide.note_ddl();
        CREATE EVENT TRIGGER "bastide_ddl" ON ddl_command_end EXECUTE FUNCTION bastide.note_ddl();
        GRANT EXECUTE ON FUNCTION bastide.ddl_since(bigint) TO "bastide_app";
        "#);
        insta::assert_snapshot!(show(&step().inverse()), @r#"
        -- Transaction
        DROP EVENT TRIGGER "bastide_ddl_dropped";
        DROP EVENT TRIGGER "bastide_ddl";
        DROP FUNCTION bastide.ddl_since(bigint);
        DROP FUNCTION bastide.note_ddl();
        DROP TABLE bastide.ddl;
        "#);
    }

    #[tokio::test]
    async fn changes_are_noted_with_their_login_and_nobody_is_stopped() {
        let mut trial = Trial::of("integer", "CREATE TABLE public.orders (id integer)").await;
        trial.round(&step()).await;
        let owner = trial.db.client().await;
        let say = async |text: &str| owner.batch_execute(text).await.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        say("ALTER TABLE public.orders ENABLE ROW LEVEL SECURITY").await;
        say("CREATE POLICY open ON public.orders USING (true)").await;
        say("GRANT SELECT ON public.orders TO bastide_app; CREATE INDEX ON public.orders (id); CREATE TEMP TABLE mine (id integer)").await;
        say("DROP POLICY open ON public.orders").await;
        trial.execute("CREATE TABLE public.by_run (id integer)").await;
        let seen = "SELECT command, object, login, coalesce(run, 'somebody') FROM bastide.ddl_since(0)";
        assert_eq!(
            trial.db.query_rows(&format!("SET ROLE bastide_app; {seen}")).await,
            [
                "ALTER TABLE|table public.orders|postgres|somebody",
                "CREATE POLICY|policy open on public.orders|postgres|somebody",
                "GRANT|TABLE|postgres|somebody",
                "DROP POLICY|policy open on public.orders|postgres|somebody",
                &format!("CREATE TABLE|table public.by_run|postgres|{RUN}"),
            ]
        );
        assert_eq!(trial.refused("SET ROLE bastide_app; SELECT * FROM bastide.ddl").await, "42501");
        // Even where nothing can be noted any more.
        say("ALTER TABLE bastide.ddl RENAME TO elsewhere").await;
        say("CREATE TABLE public.late (id integer); DROP TABLE public.late").await;
        say("ALTER TABLE bastide.elsewhere RENAME TO ddl").await;
        trial.undo(&step()).await;
    }
}
