use super::*;
use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;

const METHODS: [Method; 8] = [
    Method::Lazy,
    Method::Plain { local_trials: 1 },
    Method::Plain { local_trials: 4 },
    Method::Rejection { max_trials: None, fallback: Fallback::Exact },
    Method::Rejection { max_trials: Some(3), fallback: Fallback::Exact },
    Method::Chain { length: 50 },
    Method::Parallel { oversampling: 80.0, rounds: 4 },
    Method::Random,
];

fn points(n: usize, dim: usize) -> Vec<f64> {
    let mut draws = Stream::new(3).draws(Purpose::Uniform, 0);
    // Clumps of very different sizes, and duplicates.
    let mut data: Vec<f64> = (0..n)
        .flat_map(|i| {
            let clump = (i % 7) as f64;
            (0..dim).map(move |_| clump * 10.0).collect::<Vec<_>>()
        })
        .collect();
    for x in &mut data {
        *x += draws.normal() * draws.uniform();
    }
    data.copy_within(0..dim, 5 * dim);
    data
}

fn brute<P: Points>(points: &P, centres: &[usize]) -> Assignment {
    let n = points.len();
    let mut out = Assignment { distances: vec![f64::INFINITY; n], labels: vec![0; n] };
    for (label, &centre) in centres.iter().enumerate() {
        let mut distances = vec![0.0; n];
        points.distances(0..n, &points.target(centre).unwrap(), &mut distances);
        for (row, distance) in distances.into_iter().enumerate() {
            if distance < out.distances[row] {
                (out.distances[row], out.labels[row]) = (distance, label as u32);
            }
        }
    }
    out
}

fn request(n_clusters: usize, method: Method) -> Request<'static> {
    let stream = Stream::new(1);
    Request { n_clusters, method, sample_weight: None, stream, assign: false }
}

fn check<P: Points>(points: &P, methods: &[Method]) {
    for &method in methods {
        let seeding = request(60, method).seed(points, Run::alone()).unwrap();
        assert_eq!(seeding.indices.len(), 60);
        let mut distinct = seeding.indices.clone();
        ascending(&mut distinct);
        assert_eq!(distinct.len(), 60, "{method:?}");
        let ours = assign(points, &seeding.indices, Run::alone()).unwrap();
        let truth = brute(points, &seeding.indices);
        assert_eq!(ours.distances, truth.distances, "{method:?}");
        assert_eq!(ours.labels, truth.labels, "{method:?}");
    }
}

/// Every method on dense points; what it chose, and its assignment against brute force.
#[test]
fn passed_over_distances_do_not_matter() {
    let (n, dim) = (3000, 19);
    let data = points(n, dim);
    let single: Vec<f32> = data.iter().map(|&x| x as f32).collect();
    check(&Dense::new(data, dim), &METHODS);
    check(&Dense::new(single, dim), &METHODS);
}

#[test]
fn sparse_rows_are_as_far_apart_as_dense_ones() {
    let (n, dim) = (300, 40);
    let mut data = points(n, dim);
    for (i, x) in data.iter_mut().enumerate() {
        if i * 2_654_435_761 % 7 > 1 {
            *x = 0.0;
        }
    }
    let (mut starts, mut columns, mut values) = (vec![0_i64], Vec::new(), Vec::new());
    for row in data.chunks(dim) {
        for (column, &x) in row.iter().enumerate().filter(|&(_, &x)| x != 0.0) {
            columns.push(column as i32);
            values.push(x);
        }
        starts.push(columns.len() as i64);
    }
    let rows = Csr::new(&starts, &columns, &values, dim, "X", Run::alone()).unwrap();
    let sparse = Sparse::new(rows, Run::alone()).unwrap();
    let dense = Dense::new(data, dim);
    let centres = [7, 0, 122, 299, 44];
    let (a, b) = (brute(&sparse, &centres), brute(&dense, &centres));
    assert_eq!(a.labels, b.labels);
    for (a, b) in a.distances.iter().zip(&b.distances) {
        assert!((a - b).abs() <= 1e-9 * b, "{a} {b}");
    }
    let walked = assign(&sparse, &centres, Run::alone()).unwrap();
    assert_eq!(walked.labels, b.labels);
    let part = sparse.subset(&[5, 9], Run::alone()).unwrap();
    let (mut in_part, mut in_whole) = ([0.0], [0.0]);
    part.to_centres(0, &vec![1], &mut in_part);
    sparse.to_centres(5, &vec![9], &mut in_whole);
    assert_eq!(in_part, in_whole);
}

#[test]
fn values_that_cannot_be_squared_are_named() {
    let request = request(1, Method::Lazy);
    let dense = |x: &[f64]| request.dense(x, 2, Run::alone()).unwrap_err().to_string();
    assert_eq!(dense(&[0.0, 1.0, f64::NAN, 1.0]), "X: row 1: column 0 must be finite, got nan");
    let mut long = vec![0.0; 300_000];
    (long[200_001], long[299_999]) = (f64::INFINITY, f64::NAN);
    assert_eq!(dense(&long), "X: row 100000: column 1 must be finite, got inf");
    assert!(dense(&[1e200, 0.0]).contains("the largest absolute value is 1e200"));
    let (columns, values) = ([0, 2, 1], [1.0, f64::NAN, 1.0]);
    let rows = Csr::new(&[0_i64, 2, 3], &columns, &values, 4, "X", Run::alone()).unwrap();
    let error = request.sparse(rows, Run::alone()).unwrap_err().to_string();
    assert_eq!(error, "X: row 0: column 2 must be finite, got nan");
}

#[test]
fn bad_requests_are_refused() {
    let points = [0.0, 1.0, 2.0];
    let ask = |n_clusters, sample_weight| {
        let request = Request { n_clusters, sample_weight, ..request(1, Method::Lazy) };
        request.dense(&points, 1, Run::alone()).map(drop)
    };
    assert_eq!(ask(3, Some(&[1.0, 0.0, 2.0])), Ok(()));
    for (n_clusters, weights, message) in [
        (0, None, "n_clusters: must be in [1, 3], the number of points, got 0"),
        (4, None, "n_clusters: must be in [1, 3], the number of points, got 4"),
        (1, Some(&[1.0, 1.0][..]), "sample_weight: must have shape (3,), got (2,)"),
        (1, Some(&[1.0, -1.0, 1.0]), "sample_weight: item 1 must be in [0, inf), got -1.0"),
        (1, Some(&[1.0, 1.0, f64::NAN]), "sample_weight: item 2 must be in [0, inf), got nan"),
        (1, Some(&[0.0; 3]), "sample_weight: must hold a positive item, all are zero"),
    ] {
        assert_eq!(ask(n_clusters, weights).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_stop_request_is_heard_by_all_methods() {
    let cancel = Cancel::default();
    cancel.cancel();
    let run = Run::new(Threads::SERIAL, &cancel);
    let (data, columns) = (points(500, 3), [0, 1, 0]);
    for method in METHODS {
        let seeded = request(20, method).dense(&data, 3, run);
        assert_eq!(seeded, Err(Error::Cancelled), "{method:?}");
    }
    assert!(Csr::new(&[0_i64, 2, 3], &columns, &[1.0; 3], 4, "X", run).is_err());
}

#[test]
fn the_step_is_a_stream_of_its_own() {
    let data = points(500, 3);
    let ask = |stream| {
        let request = Request { stream, ..request(20, Method::Lazy) };
        request.dense(&data, 3, Run::alone()).unwrap().0.indices
    };
    let at = |step| Stream::new(7).at_step(step);
    assert_eq!(ask(at(0)), ask(Stream::new(7)));
    assert_ne!(ask(at(0)), ask(at(3)));
    assert_ne!(ask(at(2)), ask(at(3)));
}
