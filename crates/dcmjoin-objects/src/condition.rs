//! The condition of the request that completes an upload in parts.
//!
//! S3 takes `If-None-Match` and `If-Match` on `CompleteMultipartUpload`, but `object_store` has no
//! option for them. Its HTTP connector is open, so the header is put in there: the upload says in
//! a variable of its task what the condition is, and the request is made in the same task. The
//! header is not part of the signature, as `object_store`'s own conditions on this request are not.

#[cfg(feature = "cloud")]
pub(crate) use http::Connector;

tokio::task_local! {
    static CONDITION: Condition;
}

/// What must hold for an upload to become an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// No object stands there.
    Absent,
    /// The object that stands there has this entity tag.
    Matches(String),
}

/// Runs a request under a condition.
pub(crate) async fn under<T>(condition: Option<Condition>, request: impl Future<Output = T>) -> T {
    match condition {
        Some(condition) => CONDITION.scope(condition, request).await,
        None => request.await,
    }
}

#[cfg(feature = "cloud")]
mod http {
    use object_store::client::{
        HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService,
        ReqwestConnector,
    };
    use object_store::{ClientOptions, HeaderValue};

    use super::{CONDITION, Condition};

    /// Connects clients that put the condition of their task into each request.
    #[derive(Debug, Default)]
    pub(crate) struct Connector(ReqwestConnector);

    impl HttpConnector for Connector {
        fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
            Ok(HttpClient::new(Service(self.0.connect(options)?)))
        }
    }

    #[derive(Debug)]
    struct Service(HttpClient);

    #[async_trait::async_trait]
    impl HttpService for Service {
        async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
            // Outside of a scope there is no condition.
            let condition = CONDITION.try_with(Condition::header).ok().flatten();
            if let Some((name, value)) = condition {
                request.headers_mut().insert(name, value);
            }
            self.0.execute(request).await
        }
    }

    impl Condition {
        /// Returns the header; an entity tag that cannot be in one came from no server.
        pub(super) fn header(&self) -> Option<(&'static str, HeaderValue)> {
            match self {
                Self::Absent => Some(("if-none-match", HeaderValue::from_static("*"))),
                Self::Matches(e_tag) => Some(("if-match", e_tag.parse().ok()?)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_holds_for_its_request_alone() {
        let seen = async || CONDITION.try_with(Clone::clone).ok();
        assert_eq!(under(Some(Condition::Absent), seen()).await, Some(Condition::Absent));
        assert_eq!(under(None, seen()).await, None);
        assert_eq!(seen().await, None);
    }

    #[cfg(feature = "cloud")]
    #[test]
    fn conditions_become_headers() {
        let (name, value) = Condition::Matches("\"a-2\"".to_owned()).header().unwrap();
        assert_eq!((name, value.to_str().unwrap()), ("if-match", "\"a-2\""));
        assert!(Condition::Matches("\n".to_owned()).header().is_none());
    }
}
