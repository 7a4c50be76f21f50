//! `bastide rls validate`: posture and probes, whoever migrated the database.

use bastide_sql::Ident;
use bastide_verify::{App, Options, verify};

use crate::{
    context::Context,
    exit::{Exit, Unusable},
};

pub(crate) async fn run(context: &Context, role: Option<Ident>, production: bool) -> anyhow::Result<Exit> {
    let target = context.target()?;
    let login = match (context.app_target()?, &role) {
        (Some(login), _) => Some(login),
        (None, Some(_)) => None,
        // The login of the newest run, when its password is in this state folder.
        (None, None) => bastide_engine::login_of_newest_run(&context.place()?).await?,
    };
    let app = match (&login, &role) {
        (Some(login), _) => App::Login(login),
        (None, Some(role)) => App::SetRole(role),
        (None, None) => {
            return Err(Unusable(
                "which login is the application's? Give its URL with --app-url (BASTIDE_APP_URL), or, weaker, its name with --app-role".to_owned(),
            )
            .into());
        }
    };
    let mut owner = target.connect("bastide").await?;
    let verdict = verify(&mut owner, app, Options { production, ..Options::default() }).await?;
    context.printer.result(&verdict, || bastide_report::verdict(&verdict))?;
    Ok(if verdict.isolated() { Exit::Done } else { Exit::Findings })
}
