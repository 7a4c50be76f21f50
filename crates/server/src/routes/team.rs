//! `/api/v1/admin/{merchant}/team`

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bastide_commerce::{
    Example,
    queries::{audit, team},
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
            .answers_empty(StatusCode::NO_CONTENT, "It is theirs from their next request on.")
            .refuses(&[Code::LastOwner]),
        )
        .with(
            delete("/api/v1/admin/{merchant}/team/{user}", "remove_member", "Let somebody go", remove)
                .answers_empty(StatusCode::NO_CONTENT, "They are out, from their next request on.")
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
    Ok(Json(Members { data: team::of_merchant(app.pool(), team.merchant.id).await? }))
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
    match allowed(&mut tx, team.role()?, at.user, Some(sent.role)).await {
        Ok(()) => {}
        Err(problem) => {
            tx.rollback().await?;
            return Err(problem);
        }
    }
    team::set_role(&mut tx, at.user, sent.role.name()).await?;
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
    match allowed(&mut tx, team.role()?, at.user, None).await {
        Ok(()) => {}
        Err(problem) => {
            tx.rollback().await?;
            return Err(problem);
        }
    }
    team::remove(&mut tx, at.user).await?;
    audit::record(&mut tx, &team.did(&asked, "team.remove", at.user, &[])).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Nobody reaches above their own role, and a merchant keeps an owner.
async fn allowed(tx: &mut TenantTx, own: Role, user: Uuid, new: Option<Role>) -> Result<(), Problem> {
    let (role, other_owners) = team::lock(tx, user).await?.ok_or_else(Problem::not_found)?;
    let before = Role::named(&role).unwrap_or(Role::Owner);
    if !own.reaches(before) || new.is_some_and(|new| !own.reaches(new)) {
        return Err(Problem::new(Code::Forbidden, "That role is above your own."));
    }
    if before == Role::Owner && new != Some(Role::Owner) && other_owners == 0 {
        return Err(Problem::of(Code::LastOwner));
    }
    Ok(())
}
