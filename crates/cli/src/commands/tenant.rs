//! `bastide tenant`: operators' work on merchants of the platform.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{BufWriter, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use anyhow::Context as _;
use bastide_schema::{SchemaError, tenants};
use bastide_sql::QualifiedName;

use crate::{args::Tenant, context::Context, exit::Exit};

pub(crate) async fn run(context: &Context, command: Tenant) -> anyhow::Result<Exit> {
    let target = context.target()?;
    match command {
        Tenant::List => {
            let all = tenants::tenants(&target).await?;
            context.printer.result(&all, || match all.is_empty() {
                true => "there is no merchant yet".to_owned(),
                false => all.iter().map(line).collect::<Vec<_>>().join("\n"),
            })?;
        }
        Tenant::Suspend { slug } => {
            let tenant = tenants::set_suspended(&target, &slug, true).await?;
            context.printer.result(&tenant, || {
                format!("{slug} is suspended; `bastide tenant resume {slug}` opens it again")
            })?;
        }
        Tenant::Resume { slug } => {
            let tenant = tenants::set_suspended(&target, &slug, false).await?;
            context.printer.result(&tenant, || format!("{slug} is open"))?;
        }
        Tenant::Rename { slug, new } => {
            if bastide_server::subdomain::check(&new).is_err() {
                return Err(SchemaError::NoSlug { slug: new }.into());
            }
            let tenant = tenants::rename(&target, &slug, &new).await?;
            context.printer.result(&tenant, || format!("{slug} is {new} now, and leads to it"))?;
        }
        Tenant::Export { slug, output, app } => {
            let mut folder = Folder::make(&output)?;
            let mut write = |table: &QualifiedName, row: &str| folder.write(table, row);
            let role = context.app_role(app.app_role.as_ref());
            let exported = tenants::export(&target, &slug, &role, &mut write).await?;
            folder.finish()?;
            let rows: u64 = exported.iter().map(|table| table.rows).sum();
            context.printer.result(&exported, || {
                format!("{rows} row(s) of {} tables are in {}", exported.len(), output.display())
            })?;
        }
        Tenant::Delete { slug, yes } => {
            let question = format!("Delete {slug} with all its rows? There is no way back but a backup.");
            super::rls::ask(context, yes, &question)?;
            let deleted = tenants::delete(&target, &slug).await?;
            let rows: u64 = deleted.tables.iter().map(|table| table.rows).sum();
            context.printer.result(&deleted, || {
                format!(
                    "{slug} is gone: {rows} row(s) of {} tables; none of {} columns that could name it does",
                    deleted.tables.len(),
                    deleted.columns_looked_at
                )
            })?;
        }
    }
    Ok(Exit::Done)
}

fn line(tenant: &tenants::Tenant) -> String {
    format!("{:<24} {:<10} {}  {}", tenant.slug, tenant.status, tenant.id, tenant.name)
}

/// A file for each table, which only its owner may read: it is a merchant's data.
struct Folder<'a> {
    path: &'a Path,
    files: BTreeMap<QualifiedName, BufWriter<File>>,
}

impl<'a> Folder<'a> {
    fn make(path: &'a Path) -> anyhow::Result<Self> {
        let made = fs::DirBuilder::new().mode(0o700).create(path);
        made.with_context(|| format!("{}: name a folder that is not there yet", path.display()))?;
        Ok(Self { path, files: BTreeMap::new() })
    }

    fn write(&mut self, table: &QualifiedName, row: &str) -> std::io::Result<()> {
        if !self.files.contains_key(table) {
            // A table's name may hold anything, a path among it.
            let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c } else { '-' };
            let name: String = table.to_string().chars().map(plain).collect();
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(self.path.join(format!("{name}.jsonl")))?;
            self.files.insert(table.clone(), BufWriter::new(file));
        }
        self.files.get_mut(table).map_or(Ok(()), |file| writeln!(file, "{row}"))
    }

    fn finish(self) -> std::io::Result<()> {
        self.files.into_values().try_for_each(|mut file| file.flush())
    }
}
