//! The listener, its connections, and the task that keeps the clock.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::service::S3Service;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::front;
use crate::world::Shared;

/// How many connections are served at a time; others wait for theirs.
const CONNECTIONS_MAX: usize = 1024;

pub(crate) async fn bind(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Accepts connections until the runtime ends.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, service: S3Service) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(permit) = room.clone().acquire_owned().await {
        // A client that is gone before it is accepted is no reason to stop.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (shared, service) = (shared.clone(), service.clone());
        tokio::spawn(async move {
            connection(stream, shared, service).await;
            drop(permit);
        });
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, service: S3Service) {
    // Small answers must not wait for the client's acknowledgement of earlier ones.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| {
        let (shared, service) = (shared.clone(), service.clone());
        async move { front::answer(shared, service, request).await }
    });
    let mut http = http1::Builder::new();
    // The date is that of the emulator's clock.
    http.auto_date_header(false).timer(TokioTimer::new());
    // An error is a client that went away, or a fault that was asked for.
    let _ = http.serve_connection(TokioIo::new(stream), answer).await;
}

/// Does what is due at its time, where the clock runs by itself.
pub(crate) async fn keep_time(shared: Arc<Shared>) -> Infallible {
    loop {
        match shared.tick() {
            Some(wait) => {
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = shared.moved.notified() => {}
                }
            }
            None => shared.moved.notified().await,
        }
    }
}
