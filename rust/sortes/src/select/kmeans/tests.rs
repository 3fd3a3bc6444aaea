use super::*;
use sortes_core::rng::Stream;

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
        points.distances(0..n, &points.target(centre), &mut distances);
        for (row, distance) in distances.into_iter().enumerate() {
            if distance < out.distances[row] {
                (out.distances[row], out.labels[row]) = (distance, label as u32);
            }
        }
    }
    out
}

fn check<P: Points>(points: &P, methods: &[Method], stream: Stream, cancel: &Cancel) {
    for &method in methods {
        let seeding = seed(points, None, 60, method, stream, Threads::SERIAL, cancel).unwrap();
        assert_eq!(seeding.indices.len(), 60);
        let mut distinct = seeding.indices.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 60, "{method:?}");
        let ours = assign(points, &seeding.indices, Threads::SERIAL, cancel).unwrap();
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
    let (cancel, stream) = (Cancel::default(), Stream::new(1));
    let methods = [
        Method::Lazy,
        Method::Plain { local_trials: 1 },
        Method::Plain { local_trials: 4 },
        Method::Rejection { max_trials: None, fallback: Fallback::Exact },
        Method::Rejection { max_trials: Some(3), fallback: Fallback::Exact },
        Method::Chain { length: 50 },
        Method::Parallel { oversampling: 80.0, rounds: 4 },
        Method::Random,
    ];
    check(&Dense::new(data, dim), &methods, stream, &cancel);
    check(&Dense::new(single, dim), &methods, stream, &cancel);
}

#[test]
fn gains_are_what_a_candidate_saves() {
    let (n, dim) = (2500, 3);
    let points = Dense::new(points(n, dim), dim);
    let weights: Vec<f64> = (0..n).map(|i| (i % 5) as f64 / 4.0).collect();
    let cancel = Cancel::default();
    let mut envelope =
        Envelope::new(&points, Some(&weights), 17, 10, Threads::SERIAL, &cancel).unwrap();
    for row in [3, 400, 1200] {
        envelope.choose(row);
    }
    envelope.refresh().unwrap();
    let candidates = [8, 2000, 17, 8];
    let gains = envelope.gains(&candidates).unwrap();
    let cost = |centres: &[usize]| -> f64 {
        brute(&points, centres).distances.iter().zip(&weights).map(|(d, w)| d * w).sum()
    };
    let before = cost(&[17, 3, 400, 1200]);
    for (gain, row) in gains.iter().zip(candidates) {
        let truth = before - cost(&[17, 3, 400, 1200, row]);
        assert!((gain - truth).abs() < 1e-9 * before, "{row}: {gain} {truth}");
    }
    assert_eq!((gains[2], gains[0]), (0.0, gains[3]));
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
    let sparse = Csr::new(&starts, &columns, &values, dim).unwrap();
    let dense = Dense::new(data, dim);
    let centres = [7, 0, 122, 299, 44];
    let (a, b) = (brute(&sparse, &centres), brute(&dense, &centres));
    assert_eq!(a.labels, b.labels);
    for (a, b) in a.distances.iter().zip(&b.distances) {
        assert!((a - b).abs() <= 1e-9 * b, "{a} {b}");
    }
    let cancel = Cancel::default();
    let walked = assign(&sparse, &centres, Threads::SERIAL, &cancel).unwrap();
    assert_eq!(walked.labels, b.labels);
    let part = sparse.subset(&[5, 9]);
    let (mut in_part, mut in_whole) = ([0.0], [0.0]);
    part.to_centres(0, &vec![1], &mut in_part);
    sparse.to_centres(5, &vec![9], &mut in_whole);
    assert_eq!(in_part, in_whole);
}

#[test]
fn bad_matrices_are_refused() {
    let columns = [0, 2, 1, 3];
    let values = [1.0; 4];
    let refused = |starts: &[i64], columns: &[i32], values: &[f64]| {
        Csr::new(starts, columns, values, 4).unwrap_err().to_string()
    };
    assert!(Csr::new(&[0_i32, 2, 4], &columns, &values, 4).is_ok());
    assert!(refused(&[0, 4], &columns, &values).contains("row 0: indices must ascend, index 2"));
    assert!(refused(&[0, 3, 2, 4], &columns, &values).contains("indptr must ascend"));
    assert!(
        refused(&[0, 2], &columns, &values).contains("indptr must begin with 0 and end with 4")
    );
    assert!(
        refused(&[0, 2, 4], &[0, 2, 1, 4], &values).contains("row 1: index 1 of the row is out")
    );
    assert!(
        refused(&[0, 2, 4], &[0, 2, -1, 3], &values).contains("row 1: index 0 of the row is out")
    );
    assert!(
        refused(&[0, 2, 4], &columns, &[1.0, 1.0, f64::NAN, 1.0])
            .contains("row 1: column 1 is NaN")
    );
    assert!(refused(&[0, 2, 4], &columns, &[1.0; 3]).contains("one length, got 4 and 3"));
}
