//! Migrations small enough to be taken apart: a root, a table below it, and one that runs outside of a transaction.

use bastide_schema::{Files, Migrations};

pub(crate) const BASE: Files = Files {
    folder: "0001_base",
    up: "CREATE TABLE public.shops (id integer PRIMARY KEY, slug text NOT NULL UNIQUE);",
    down: "DROP TABLE public.shops;",
    isolate: "public.shops root id",
};

pub(crate) const NOTES: Files = Files {
    folder: "0002_notes",
    up: "CREATE TABLE public.notes (shop_id integer NOT NULL REFERENCES public.shops, id bigint GENERATED ALWAYS AS IDENTITY, said text, PRIMARY KEY (shop_id, id));
         ALTER TABLE public.shops ADD COLUMN motto text;",
    down: "ALTER TABLE public.shops DROP COLUMN motto; DROP TABLE public.notes;",
    isolate: "public.notes shop_id",
};

/// Every statement may run again.
pub(crate) const LATER: Files = Files {
    folder: "0003_later",
    up:
        "-- Beside traffic.\n-- bastide: no transaction\n
         CREATE INDEX CONCURRENTLY IF NOT EXISTS notes_said ON public.notes (shop_id, said);
         CREATE TABLE IF NOT EXISTS public.log (shop_id integer NOT NULL REFERENCES public.shops, said text);",
    down: "DROP TABLE IF EXISTS public.log; DROP INDEX CONCURRENTLY IF EXISTS public.notes_said;",
    isolate: "public.log shop_id",
};

pub(crate) fn small() -> Migrations {
    Migrations::new(&[BASE, NOTES, LATER]).unwrap()
}
