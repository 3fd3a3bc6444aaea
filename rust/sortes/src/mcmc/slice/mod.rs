//! Slice samplers: Neal, "Slice sampling", Annals of Statistics 31(3), 2003, and what came of it.
//!
//! Every level is `logp(x) - e` with an exponential `e > 0`, and a point is in the slice if its log
//! density is strictly above the level: NaN and minus infinity never are, and plateaus need no care.

pub mod adaptive;
mod angle;
pub mod coordinate;
pub mod elliptical;
pub mod factor;
pub mod line;
pub mod polar;
pub mod ray;
mod trigonometry;

pub use adaptive::Adaptive;
pub use coordinate::{Coordinate, Order};
pub use elliptical::Elliptical;
pub use polar::Polar;
pub use ray::Ray;
