//! A server inside this process: on a thread of its own in the sockets world, beside the clients in
//! the virtual one.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::CliError;
use crate::net::{Connector, Dialler, ListenOptions, Listener, Network, TcpListener};
use crate::protocol::Endpoint;
use crate::protocol::connection_string::Scheme;
use crate::protocol::settings::SocketBuffers;

/// Tells a server to stop. One whose starter is gone stops as well.
#[derive(Debug)]
pub struct Stopped(oneshot::Receiver<()>);

impl Stopped {
    /// Ready once the server shall stop.
    pub async fn asked(self) {
        // However it comes.
        drop(self.0.await);
    }
}

/// A running server.
#[derive(Debug)]
pub struct Served {
    /// Dials it.
    pub connector: Connector,
    name: &'static str,
    stop: oneshot::Sender<()>,
    done: oneshot::Receiver<()>,
}

impl Served {
    /// Starts a server on a free port of 127.0.0.1, on a thread of its own.
    pub async fn on_a_thread<S, F>(
        name: &'static str,
        buffers: SocketBuffers,
        serve: S,
    ) -> Result<Self, CliError>
    where
        S: FnOnce(Listener, Stopped) -> F + Send + 'static,
        F: Future<Output = ()>,
    {
        let (ready_sender, ready) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let (done_sender, done) = oneshot::channel();
        let body = move || {
            serve_on_thread(buffers, ready_sender, |listener| serve(listener, Stopped(stopped)));
            let _ = done_sender.send(());
        };
        thread::Builder::new()
            .name(format!("squall-{name}"))
            .spawn(body)
            .map_err(|error| CliError::Internal(format!("no thread for the {name}: {error}")))?;
        let address = match ready.await {
            Ok(result) => result?,
            Err(_) => return Err(CliError::Internal(format!("the thread of the {name} ended"))),
        };
        let endpoint = Endpoint {
            scheme: Scheme::Http,
            host: address.ip().to_string(),
            port: Some(address.port()),
        };
        let connector = Dialler::new(endpoint, None).await?.into();
        Ok(Self { connector, name, stop, done })
    }

    /// Starts a server under a host of a network in memory, as a task of the current `LocalSet`.
    pub fn beside<S, F>(
        network: Network,
        name: &'static str,
        host: &str,
        buffers: SocketBuffers,
        serve: S,
    ) -> Result<Self, CliError>
    where
        S: FnOnce(Listener, Stopped) -> F,
        F: Future<Output = ()> + 'static,
    {
        let endpoint = Endpoint { scheme: Scheme::Http, host: host.to_owned(), port: None };
        let listener = network
            .listen(&endpoint.authority(), buffers)
            .map_err(|error| CliError::Internal(format!("no place for the {name}: {error}")))?;
        let (stop, stopped) = oneshot::channel();
        let (done_sender, done) = oneshot::channel();
        let serving = serve(Listener::Links(listener), Stopped(stopped));
        tokio::task::spawn_local(async move {
            serving.await;
            let _ = done_sender.send(());
        });
        Ok(Self { connector: Connector::Links { network, endpoint }, name, stop, done })
    }

    /// Asks it to stop, and waits until it is done.
    pub async fn stop(self) -> Result<(), CliError> {
        let _ = self.stop.send(());
        self.done.await.map_err(|_| CliError::Internal(format!("the {} broke off", self.name)))
    }
}

fn serve_on_thread<F: Future<Output = ()>>(
    buffers: SocketBuffers,
    ready: oneshot::Sender<Result<SocketAddr, CliError>>,
    serve: impl FnOnce(Listener) -> F,
) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listen_error = |source| CliError::Listen { address, source };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => {
            let _ = ready.send(Err(listen_error(source)));
            return;
        }
    };
    LocalSet::new().block_on(&runtime, async {
        let options = ListenOptions { address, buffers };
        let bound =
            TcpListener::bind(options).and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (local, listener) = match bound {
            Ok(bound) => bound,
            Err(source) => {
                let _ = ready.send(Err(listen_error(source)));
                return;
            }
        };
        if ready.send(Ok(local)).is_ok() {
            serve(Listener::Tcp(listener)).await;
        }
    });
}
