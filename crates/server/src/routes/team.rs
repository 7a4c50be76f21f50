//! `/api/v1/admin/{merchant}/team`

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bastide_commerce::{
    Example,
    queries::{api_keys, audit, invitations, team},
    rows::TeamMember,
};
use bastide_tenancy::TenantTx;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    app::App,
    asked::Asked,
    body::{Body, Faults, Validate},
    code::Code,
    contract::{Routes, delete, get, put},
    merchant::Team,
    path::At,
    permission::{ReadTeam, Role, WriteTeam},
    problem::Problem,
};

pub(super) fn routes() -> Routes {
    Routes::of("team", "Who works for a merchant, and as what.")
        .with(get("/api/v1/admin/{merchant}/team", "list_team", "Who works here, by name", list))
        .with(
            put(
                "/api/v1/admin/{merchant}/team/{user}",
                "set_role",
                "Give somebody of the team another role",
                set,
            )
            .answers_empty(StatusCode::NO_CONTENT, "It is theirs from their next request on. Whose role is less than before loses the API keys and open invitations they made.")
            .refuses(&[Code::LastOwner]),
        )
        .with(
            delete("/api/v1/admin/{merchant}/team/{user}", "remove_member", "Let somebody go", remove)
                .answers_empty(StatusCode::NO_CONTENT, "They are out, from their next request on; API keys and open invitations that they made are no more.")
                .refuses(&[Code::LastOwner]),
        )
}

#[derive(Serialize, ToSchema)]
struct Members {
    /// 500 at most.
    data: Vec<TeamMember>,
}

impl Example for Members {
    fn example() -> Value {
        json!({ "data": [{
            "id": "11111111-0000-4000-8000-000000000001",
            "name": "Ada",
            "email": "ada@lagoon.test",
            "role": "owner",
            "active": true
        }] })
    }
}

async fn list(State(app): State<App>, team: Team<ReadTeam>) -> Result<Json<Members>, Problem> {
    Ok(Json(Members { data: team::of_merchant(app.pool(), &team.tenant).await? }))
}

#[derive(Deserialize, IntoParams)]
struct MemberPath {
    /// The user's id.
    user: Uuid,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRole {
    role: Role,
}

impl Validate for NewRole {
    fn validate(&self, _: &mut Faults) {}
}

impl Example for NewRole {
    fn example() -> Value {
        json!({ "role": "staff" })
    }
}

async fn set(
    State(app): State<App>,
    team: Team<WriteTeam>,
    asked: Asked,
    At(at): At<MemberPath>,
    Body(sent): Body<NewRole>,
) -> Result<Response, Problem> {
    let mut tx = app.pool().begin(&team.tenant).await?;
    let before = match allowed(&mut tx, &team, at.user, Some(sent.role)).await {
        Ok(before) => before,
        Err(problem) => {
            tx.rollback().await?;
            return Err(problem);
        }
    };
    team::set_role(&mut tx, at.user, sent.role.name()).await?;
    if !sent.role.reaches(before) {
        take_back(&mut tx, at.user).await?;
    }
    audit::record(&mut tx, &team.did(&asked, "team.set_role", at.user, &["role"])).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn remove(
    State(app): State<App>,
    team: Team<WriteTeam>,
    asked: Asked,
    At(at): At<MemberPath>,
) -> Result<Response, Problem> {
    let mut tx = app.pool().begin(&team.tenant).await?;
    if let Err(problem) = allowed(&mut tx, &team, at.user, None).await {
        tx.rollback().await?;
        return Err(problem);
    }
    team::remove(&mut tx, at.user).await?;
    take_back(&mut tx, at.user).await?;
    audit::record(&mut tx, &team.did(&asked, "team.remove", at.user, &[])).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What somebody made who knows it: keys that open on without them, invitations that lead back in.
async fn take_back(tx: &mut TenantTx, user: Uuid) -> Result<(), Problem> {
    api_keys::revoke_of(tx, user).await?;
    invitations::withdraw_of(tx, user).await?;
    Ok(())
}

/// The role that somebody had. Nobody reaches above their own, and a merchant keeps an owner.
async fn allowed(
    tx: &mut TenantTx,
    team: &Team<WriteTeam>,
    user: Uuid,
    new: Option<Role>,
) -> Result<Role, Problem> {
    let locked = team::lock(tx, team.user, user).await?;
    let own = team.unchanged(locked.own.as_deref())?;
    let role = locked.member.ok_or_else(Problem::not_found)?;
    let before = Role::named(&role).unwrap_or(Role::Owner);
    if !own.reaches(before) || new.is_some_and(|new| !own.reaches(new)) {
        return Err(Problem::new(Code::Forbidden, "That role is above your own."));
    }
    if before == Role::Owner && new != Some(Role::Owner) && locked.other_owners == 0 {
        return Err(Problem::of(Code::LastOwner));
    }
    Ok(before)
}
