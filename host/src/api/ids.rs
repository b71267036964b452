//! Identifiers, found by how they begin.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Api;
use super::extract::Segment;
use super::json::InScope;
use super::parameters::Parameters;
use super::problem::Problem;
use crate::model::id::{DIGITS, DIGITS_MIN};
use crate::store::ids;

#[derive(Debug, Serialize)]
pub(super) struct IdsJson {
    /// Two, when there are more than one.
    ids: Vec<String>,
}

pub(super) async fn find(
    State(api): State<Arc<Api>>,
    Segment(beginning): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<IdsJson>, Problem> {
    let digits = beginning.split_once('_').map_or("", |(_, digits)| digits);
    let is_beginning = (DIGITS_MIN..=DIGITS).contains(&digits.len())
        && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_beginning {
        let reason = "is not the beginning of an identifier, such as run_01a2";
        return Err(Problem::parameter("beginning", reason));
    }
    let ids = ids::beginning_with(&api.store, &scope.scope(), &beginning).await?;
    Ok(Json(IdsJson { ids }))
}
