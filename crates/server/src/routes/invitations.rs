//! `/api/v1/admin/{merchant}/invitations` and how one is accepted.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use bastide_commerce::{
    Example,
    queries::{
        audit::{self, Entry},
        invitations::{self, NewInvitation},
        team,
        tenants::{self, NewUser},
        users,
    },
    rows::Invitation,
};
use bastide_tenancy::TenantId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    auth::{SignedIn, signed_in},
    tenants::{Maybe, check_email},
};
use crate::{
    app::App,
    asked::Asked,
    body::{Body, Faults, Validate},
    client::Client,
    code::{Code, FieldCode},
    contract::{Routes, delete, get, post},
    merchant::Team,
    password,
    path::At,
    permission::{ReadTeam, Role, WriteTeam},
    problem::{FieldError, Place, Problem},
    refresh::Open,
    secret::{self, Secret},
    throttle,
};

const KIND: &str = "inv";
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

pub(super) fn routes() -> Routes {
    Routes::of("invitations", "How somebody joins a team.")
        .with(get(
            "/api/v1/admin/{merchant}/invitations",
            "list_invitations",
            "Open invitations, newest first",
            list,
        ))
        .with(
            post(
                "/api/v1/admin/{merchant}/invitations",
                "invite_member",
                "Invite somebody to the team",
                invite,
            )
            .answers::<Invited>(StatusCode::CREATED, "Hand on the token: it is shown this once."),
        )
        .with(
            delete(
                "/api/v1/admin/{merchant}/invitations/{invitation}",
                "revoke_invitation",
                "Take an invitation back",
                withdraw,
            )
            .answers_empty(StatusCode::NO_CONTENT, "Its token opens nothing any more."),
        )
        .with(
            post("/api/v1/auth/merchant/invitations/accept", "accept_invitation", "Join a team", accept)
                .answers::<Joined>(StatusCode::OK, "Joined.")
                .refuses(&[Code::NotFound, Code::RateLimited]),
        )
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Invite {
    email: String,
    role: Role,
}

impl Validate for Invite {
    fn validate(&self, faults: &mut Faults) {
        check_email(faults, "/email", &self.email);
    }
}

impl Example for Invite {
    fn example() -> Value {
        json!({ "email": "cleo@lagoon.test", "role": "staff" })
    }
}

fn invitation() -> Value {
    json!({
        "id": "0193a1b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b",
        "email": "cleo@lagoon.test",
        "role": "staff",
        "invited_by": "11111111-0000-4000-8000-000000000001",
        "created_at": "2025-01-01T00:00:00Z",
        "expires_at": "2025-01-08T00:00:00Z"
    })
}

#[derive(Serialize, ToSchema)]
struct Invited {
    invitation: Invitation,
    /// For whoever is invited. Good once, for a week, for the address that was invited.
    token: String,
}

impl Example for Invited {
    fn example() -> Value {
        json!({ "invitation": invitation(), "token": "inv_c2lnbmVkIHdpdGggbm90aGluZywga25vd24gYnkgaGFzaA" })
    }
}

#[derive(Serialize, ToSchema)]
struct Invitations {
    /// A hundred at most.
    data: Vec<Invitation>,
}

impl Example for Invitations {
    fn example() -> Value {
        json!({ "data": [invitation()] })
    }
}

async fn list(State(app): State<App>, team: Team<ReadTeam>) -> Result<Json<Invitations>, Problem> {
    Ok(Json(Invitations { data: invitations::open(app.pool(), &team.tenant).await? }))
}

async fn invite(
    State(app): State<App>,
    team: Team<WriteTeam>,
    asked: Asked,
    Body(sent): Body<Invite>,
) -> Result<Response, Problem> {
    if !team.role()?.reaches(sent.role) {
        return Err(Problem::new(Code::Forbidden, "That role is above your own."));
    }
    let token = Secret::new(KIND);
    let new = NewInvitation {
        id: Uuid::now_v7(),
        email: &sent.email.to_lowercase(),
        role: sent.role.name(),
        token_hash: &token.hash(),
        invited_by: team.user,
        lifetime: LIFETIME,
    };
    let mut tx = app.pool().begin(&team.tenant).await?;
    if let Err(problem) = team.still(&mut tx).await {
        tx.rollback().await?;
        return Err(problem);
    }
    let invitation = invitations::make(&mut tx, &new).await?;
    audit::record(&mut tx, &team.did(&asked, "invitation.create", new.id, &["email", "role"])).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(Invited { invitation, token: token.into_text() })).into_response())
}

#[derive(Deserialize, IntoParams)]
struct InvitationPath {
    /// The invitation's id.
    invitation: Uuid,
}

async fn withdraw(
    State(app): State<App>,
    team: Team<WriteTeam>,
    asked: Asked,
    At(at): At<InvitationPath>,
) -> Result<Response, Problem> {
    let mut tx = app.pool().begin(&team.tenant).await?;
    if !invitations::withdraw(&mut tx, at.invitation).await? {
        tx.rollback().await?;
        return Err(Problem::not_found());
    }
    audit::record(&mut tx, &team.did(&asked, "invitation.revoke", at.invitation, &[])).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Accept {
    token: String,
    /// Left out by whoever is signed in.
    account: Option<NewAccount>,
}

/// With the address that was invited.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAccount {
    name: String,
    /// 12 characters at least.
    #[schema(format = Password)]
    password: String,
}

impl Validate for Accept {
    fn validate(&self, faults: &mut Faults) {
        if let Some(account) = &self.account {
            faults.text("/account/name", &account.name, 1..=100);
            password::check_new(faults, "/account/password", &account.password);
        }
    }
}

impl Example for Accept {
    fn example() -> Value {
        json!({ "token": "inv_c2lnbmVkIHdpdGggbm90aGluZywga25vd24gYnkgaGFzaA" })
    }
}

#[derive(Serialize, ToSchema)]
struct Joined {
    #[schema(example = "staff")]
    role: String,
    /// Of an account that is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_in: Option<SignedIn>,
}

impl Example for Joined {
    fn example() -> Value {
        json!({ "role": "staff" })
    }
}

/// One that is used, expired, taken back or another's is none: 404.
async fn accept(
    State(app): State<App>,
    asked: Asked,
    client: Client,
    Maybe(session): Maybe,
    Body(sent): Body<Accept>,
) -> Result<Response, Problem> {
    let field =
        |pointer, code, message| Problem::fields(vec![FieldError::new(Place::Body, pointer, code, message)]);
    match (&session, &sent.account) {
        (None, None) => {
            return Err(field("/account", FieldCode::Required, "is missing, and nobody is signed in"));
        }
        (Some(_), Some(_)) => {
            return Err(field("/account", FieldCode::Unknown, "you are signed in: it is you"));
        }
        _ => {}
    }
    throttle::from_address(&app, &client, "invitation").await?;
    let hash = secret::hash_of(KIND, &sent.token).ok_or_else(Problem::not_found)?;
    let merchant = invitations::merchant(app.pool(), &hash).await?.ok_or_else(Problem::not_found)?;
    let tenant = TenantId::new(merchant.to_string()).map_err(|_| Problem::not_found())?;
    let user = session.map_or_else(Uuid::now_v7, |session| session.user);
    let address = match session {
        Some(session) => users::email(app.pool(), session.user).await?,
        None => None,
    };
    let account = match sent.account {
        Some(account) => Some((account.name, app.passwords().hash(account.password).await?)),
        None => None,
    };

    let mut tx = app.pool().begin(&tenant).await?;
    let taken = invitations::take(&mut tx, &hash, user).await?;
    let fits = |invitation: &Invitation| {
        account.is_some()
            || address.as_ref().is_some_and(|address| address.to_lowercase() == invitation.email)
    };
    let Some(invitation) = taken.filter(fits) else {
        tx.rollback().await?;
        return Err(Problem::not_found());
    };
    if let Some((name, password_hash)) = &account {
        let new = NewUser { id: user, email: &invitation.email, name, password_hash };
        if !tenants::create_user(&mut tx, &new).await? {
            tx.rollback().await?;
            return Err(field(
                "/account",
                FieldCode::Taken,
                "there is an account with this address; sign in first",
            ));
        }
    }
    // Who is in the team keeps the role they have.
    if team::add(&mut tx, user, &invitation.role).await? {
        let entry = Entry {
            actor: user,
            actor_kind: "user",
            action: "team.join",
            entity: "team",
            entity_id: user.to_string(),
            fields: &["role"],
            request_id: &asked.request_id,
        };
        audit::record(&mut tx, &entry).await?;
    }
    tx.commit().await?;
    let (headers, signed_in) = match account {
        Some(_) => {
            let open = Open::begin(&app, &client, user, None).await?;
            let (headers, answer) = signed_in(&app, open, Vec::new(), false)?;
            (headers, Some(answer))
        }
        None => (HeaderMap::new(), None),
    };
    Ok((headers, Json(Joined { role: invitation.role, signed_in })).into_response())
}
