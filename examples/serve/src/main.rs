//! Answers requests for probabilities from a saved [`Scorer`]. A file that is replaced by another while the program
//! runs is loaded; requests that are being answered keep the scorer they began with.
//!
//! ```text
//! # Records, one JSON object a line, from standard input; probabilities to standard output:
//! cargo run --release -p imbalance-serve -- --model clicks.json < records.jsonl
//!
//! # HTTP on the loopback:
//! cargo run --release -p imbalance-serve -- --model clicks.json --port 8080
//! curl -d '{"country": "FR", "price": 3.5}' http://127.0.0.1:8080/score
//! ```
//!
//! Latencies of the scorer alone, from the text of the record to the probability, are printed at the end.

use std::io::{self, BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};
use std::{fs, thread};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use imbalance::Scorer;
use imbalance::saved::Saved;
use tokio::net::TcpListener;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A scorer that can be replaced, and the latencies of its answers.
struct Service {
    scorer: RwLock<Arc<Scorer>>,
    nanos: Mutex<Vec<u64>>,
}

impl Service {
    fn new(scorer: Scorer) -> Self {
        Self { scorer: RwLock::new(Arc::new(scorer)), nanos: Mutex::default() }
    }

    fn scorer(&self) -> Arc<Scorer> {
        Arc::clone(&self.scorer.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, scorer: Scorer) {
        *self.scorer.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(scorer);
    }

    fn score(&self, record: &str) -> imbalance::Result<f64> {
        let scorer = self.scorer();
        let start = Instant::now();
        let p = scorer.probability_of_json(record);
        let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.nanos.lock().unwrap_or_else(PoisonError::into_inner).push(nanos);
        p
    }

    /// The latencies' percentiles in a line.
    fn latencies(&self) -> String {
        let mut nanos = self.nanos.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if nanos.is_empty() {
            return "no records".into();
        }
        nanos.sort_unstable();
        let at = |share: f64| nanos[((nanos.len() - 1) as f64 * share) as usize] as f64 / 1e3;
        format!(
            "{} records, latency in µs: median {:.2}, 90 % {:.2}, 99 % {:.2}, 99.9 % {:.2}, largest {:.2}",
            nanos.len(),
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            at(1.0)
        )
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|file| file.modified()).ok()
}

/// Loads the file again whenever it has been replaced. A file that cannot be read leaves the scorer as it is.
fn follow(path: &Path, service: &Service) {
    let mut known = modified(path);
    loop {
        thread::sleep(LOOK_EVERY);
        let now = modified(path);
        if now.is_none() || now == known {
            continue;
        }
        known = now;
        match Scorer::load(path) {
            Ok(scorer) => {
                service.replace(scorer);
                eprintln!("{} was replaced and is loaded", path.display());
            }
            Err(error) => eprintln!("the scorer stays as it is: {error}"),
        }
    }
}

/// A probability for each line of standard input; an error in place of it names the line.
fn answer_lines(service: &Service) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for (line, record) in io::stdin().lock().lines().enumerate() {
        match service.score(&record?) {
            Ok(p) => writeln!(out, "{p}")?,
            Err(error) => {
                writeln!(out, "error")?;
                eprintln!("line {}: {error}", line + 1);
            }
        }
    }
    out.flush()
}

async fn score(State(service): State<Arc<Service>>, record: String) -> (StatusCode, String) {
    match service.score(&record) {
        Ok(p) => (StatusCode::OK, format!("{p}\n")),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}

async fn answer_http(service: Arc<Service>, port: u16) -> io::Result<()> {
    let report = |State(service): State<Arc<Service>>| async move { service.scorer().to_string() };
    let latencies = |State(service): State<Arc<Service>>| async move { service.latencies() };
    let routes = Router::new()
        .route("/score", post(score))
        .route("/report", get(report))
        .route("/latencies", get(latencies))
        .with_state(service);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    eprintln!(
        "http://{}/score takes a JSON object; /report and /latencies tell more",
        listener.local_addr()?
    );
    let stopped = async { drop(tokio::signal::ctrl_c().await) };
    axum::serve(listener, routes).with_graceful_shutdown(stopped).await
}

fn main() -> Outcome<()> {
    let mut args = pico_args::Arguments::from_env();
    let model: PathBuf = args.value_from_str("--model")?;
    let port: Option<u16> = args.opt_value_from_str("--port")?;
    let service = Arc::new(Service::new(Scorer::load(&model)?));
    eprintln!("{}\n", service.scorer());
    let following = Arc::clone(&service);
    thread::spawn(move || follow(&model, &following));
    match port {
        None => answer_lines(&service)?,
        Some(port) => {
            let http = answer_http(Arc::clone(&service), port);
            tokio::runtime::Runtime::new()?.block_on(http)?;
        }
    }
    eprintln!("{}", service.latencies());
    Ok(())
}
