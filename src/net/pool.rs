//! HTTP connections by endpoint: kept alive, used again, bounded. Of whoever calls event handlers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::http::{HttpAnswer, HttpCaller, HttpError, HttpRequest};
use super::{Connector, Dialling};
use crate::protocol::Endpoint;

/// Connections to one endpoint at once; further requests wait for one, which counts as part of
/// their time.
pub const CONNECTIONS_MAX: usize = 1_024;

/// Connections by whom they lead to.
#[derive(Debug)]
pub struct Pool {
    dialling: Dialling,
    endpoints: RefCell<BTreeMap<String, Rc<Line>>>,
}

/// Connections to one endpoint.
#[derive(Debug)]
struct Line {
    places: Semaphore,
    /// The one used last is used next.
    idle: RefCell<Vec<HttpCaller>>,
    /// Made once, since it resolves a name and reads certificates; anew after a failed connect.
    connector: RefCell<Option<Connector>>,
}

impl Pool {
    /// No connections.
    #[must_use]
    pub const fn new(dialling: Dialling) -> Self {
        Self { dialling, endpoints: RefCell::new(BTreeMap::new()) }
    }

    /// Forgets everything, connections in use aside.
    pub fn forget(&self) {
        self.endpoints.borrow_mut().clear();
    }

    /// Closes the connections that nobody uses.
    pub fn let_go(&self) {
        for line in self.endpoints.borrow().values() {
            line.idle.borrow_mut().clear();
        }
    }

    /// Calls an endpoint, over a kept connection where there is one.
    ///
    /// # Errors
    ///
    /// As [`HttpCaller::call`]; waiting for a place counts as part of the time.
    pub async fn call(
        &self,
        endpoint: &Endpoint,
        request: HttpRequest,
        within: Duration,
    ) -> Result<HttpAnswer, HttpError> {
        let until = Instant::now() + within;
        let late = |_| HttpError::TimedOut(within);
        let line = self.line(endpoint);
        let place = timeout_at(until, line.places.acquire()).await.map_err(late)?;
        let _place = place.map_err(|closed| HttpError::Broken(closed.to_string()))?;
        let kept = line.idle.borrow_mut().pop();
        let mut caller = match kept {
            Some(caller) => caller,
            None => {
                let connector = self.connector(&line, endpoint);
                HttpCaller::new(timeout_at(until, connector).await.map_err(late)??)
            }
        };
        let answer = caller.call(request, until.saturating_duration_since(Instant::now())).await;
        match &answer {
            Ok(_) => line.idle.borrow_mut().push(caller),
            Err(HttpError::Connect(_)) => *line.connector.borrow_mut() = None,
            Err(_) => {}
        }
        answer.map_err(|error| match error {
            HttpError::TimedOut(_) => HttpError::TimedOut(within),
            other => other,
        })
    }

    fn line(&self, endpoint: &Endpoint) -> Rc<Line> {
        let mut endpoints = self.endpoints.borrow_mut();
        let line = endpoints.entry(endpoint.to_string()).or_insert_with(|| {
            Rc::new(Line {
                places: Semaphore::new(CONNECTIONS_MAX),
                idle: RefCell::default(),
                connector: RefCell::default(),
            })
        });
        Rc::clone(line)
    }

    async fn connector(&self, line: &Line, endpoint: &Endpoint) -> Result<Connector, HttpError> {
        let known = line.connector.borrow().clone();
        if let Some(connector) = known {
            return Ok(connector);
        }
        let connector = self.dialling.connector(endpoint).await?;
        *line.connector.borrow_mut() = Some(connector.clone());
        Ok(connector)
    }
}
