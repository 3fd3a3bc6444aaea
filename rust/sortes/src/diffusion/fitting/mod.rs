//! Fitting: which noise levels to visit, and with which coefficients, for one denoiser.
//!
//! The denoiser is asked elsewhere; what is left are searches over tables of numbers.
//!
//! | module | holds |
//! |---|---|
//! | [`shortest`] | the cheapest path of a given number of edges: costs that add up |
//! | [`stepsize`] | a round of the programme over step sizes: costs of states that steps make |
//! | [`evolution`] | a population of choices of levels, and how the next one is made |
//! | [`rows`] | rows of coefficients by least squares, from products of what they combine |
//! | [`products`] | those products, summed in one order |

pub mod evolution;
pub mod products;
pub mod rows;
pub mod shortest;
pub mod stepsize;
