//! Views, materialised views, rules and triggers that read or write as somebody else.

use super::{Breach, breach};

pub(super) const BREACHES: &[Breach] = &[
    // Its owner is bound by FORCE, too: weak, but not open.
    breach("definer view", "BST-030", "public.totals", false, "ALTER VIEW totals RESET (security_invoker)"),
    breach(
        "definer view of an owner that is not bound",
        "BST-030",
        "public.totals",
        true,
        "ALTER VIEW totals RESET (security_invoker); ALTER VIEW totals OWNER TO postgres",
    ),
    breach(
        "definer view over a view",
        "BST-030",
        "public.outer_view",
        true,
        "CREATE VIEW inner_view AS SELECT * FROM orders; CREATE VIEW outer_view AS SELECT * FROM inner_view;
             GRANT SELECT ON outer_view TO bastide_app",
    ),
    breach(
        "materialised view granted",
        "BST-031",
        "public.sales",
        true,
        "GRANT SELECT ON sales TO bastide_app",
    ),
    breach(
        "a rule copies rows",
        "BST-038",
        "public.notes",
        false,
        "CREATE RULE copied AS ON INSERT TO notes DO ALSO INSERT INTO secrets VALUES (NEW.id, NEW.body)",
    ),
    breach(
        "a view over a materialised view",
        "BST-030",
        "public.best",
        true,
        "CREATE VIEW best AS SELECT * FROM sales; GRANT SELECT ON best TO bastide_app",
    ),
    breach(
        "a column of a definer view",
        "BST-030",
        "public.amounts",
        false,
        "CREATE VIEW amounts AS SELECT * FROM orders; GRANT SELECT (total) ON amounts TO bastide_app",
    ),
    breach(
        "a definer view through a group",
        "BST-030",
        "public.amounts",
        true,
        "CREATE VIEW amounts AS SELECT * FROM orders; GRANT SELECT ON amounts TO staff;
             GRANT staff TO bastide_app",
    ).undone_by("REVOKE staff FROM bastide_app"),
    breach(
        "a definer view that may only be written",
        "BST-030",
        "public.amounts",
        true,
        "CREATE VIEW amounts AS SELECT * FROM orders; GRANT INSERT ON amounts TO bastide_app",
    ),
    breach(
        "a view over a closed table",
        "BST-044",
        "public.peek",
        false,
        "CREATE VIEW peek AS SELECT * FROM secrets; GRANT SELECT ON peek TO bastide_app",
    ),
    breach(
        "a view over a view over a closed table",
        "BST-044",
        "public.outer_peek",
        false,
        "CREATE VIEW peek AS SELECT * FROM secrets; CREATE VIEW outer_peek AS SELECT * FROM peek;
             GRANT SELECT ON outer_peek TO PUBLIC",
    ),
    breach(
        "a view over what Bastide keeps",
        "BST-047",
        "public.told",
        false,
        "CREATE VIEW told AS SELECT * FROM bastide.held; GRANT SELECT ON told TO bastide_app",
    ),
    breach(
        "a view over a table nobody classified",
        "BST-042",
        "public.wished",
        false,
        "CREATE TABLE wishes (id int); CREATE VIEW wished AS SELECT * FROM wishes;
             GRANT SELECT ON wished TO bastide_app",
    ),
    breach(
        "a materialised view of a closed table",
        "BST-031",
        "public.stored",
        false,
        "CREATE MATERIALIZED VIEW stored AS SELECT * FROM secrets; GRANT SELECT ON stored TO bastide_app",
    ),
    breach(
        "a materialised view over a view",
        "BST-031",
        "public.stored",
        true,
        "CREATE MATERIALIZED VIEW stored AS SELECT * FROM totals; GRANT SELECT ON stored TO PUBLIC",
    ),
    breach(
        "a materialised view over a function",
        "BST-031",
        "public.stored",
        false,
        "CREATE FUNCTION listed() RETURNS SETOF orders LANGUAGE plpgsql STABLE AS 'BEGIN RETURN QUERY SELECT * FROM
             public.orders;
             END'; CREATE MATERIALIZED VIEW stored AS SELECT * FROM listed();
             GRANT SELECT ON stored TO bastide_app",
    ),
    breach(
        "a materialised view over a function's parsed body",
        "BST-031",
        "public.stored",
        false,
        "CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT count(*) FROM orders;
             END; CREATE MATERIALIZED VIEW stored AS SELECT counted() AS n;
             GRANT SELECT ON stored TO bastide_app",
    ),
    breach(
        "a rule on a view",
        "BST-038",
        "public.totals",
        false,
        "CREATE RULE put AS ON INSERT TO totals DO INSTEAD INSERT INTO secrets VALUES (1, 'told');
             GRANT INSERT ON totals TO bastide_app",
    ),
    breach(
        "a rule that deletes elsewhere",
        "BST-038",
        "public.notes",
        false,
        "CREATE RULE gone AS ON DELETE TO notes DO ALSO DELETE FROM secrets",
    ),
    breach(
        "a view's trigger that runs as a superuser",
        "BST-033",
        "public.totals",
        false,
        "CREATE FUNCTION put() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
             AS 'BEGIN RETURN NEW;
             END';
             CREATE TRIGGER put INSTEAD OF INSERT ON totals FOR EACH ROW EXECUTE FUNCTION put();
             GRANT INSERT ON totals TO bastide_app",
    ),
    breach(
        "a view's trigger that writes as a superuser",
        "BST-033",
        "public.amounts",
        true,
        "CREATE VIEW amounts WITH (security_invoker) AS SELECT * FROM orders;
             CREATE FUNCTION put() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
             AS 'BEGIN INSERT INTO public.orders (merchant_id, number, total)
             VALUES (NEW.merchant_id, NEW.number, NEW.total);
             RETURN NEW;
             END';
             CREATE TRIGGER put INSTEAD OF INSERT ON amounts FOR EACH ROW EXECUTE FUNCTION put();
             GRANT SELECT, INSERT ON amounts TO bastide_app",
    ),
    breach(
        "a view's rule that gives rows away as a superuser",
        "BST-038",
        "public.amounts",
        true,
        "CREATE VIEW amounts WITH (security_invoker) AS SELECT id, merchant_id FROM orders;
             CREATE RULE given AS ON UPDATE TO amounts DO INSTEAD
             UPDATE orders SET merchant_id = NEW.merchant_id WHERE id = OLD.id;
             GRANT SELECT, UPDATE ON amounts TO bastide_app",
    ),
];
