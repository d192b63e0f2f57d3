/** A tape of scalars in float64 that differentiates by itself. */

/** A number on the tape, by its place. */
export type Scalar = number

/** Numbers and the partial derivatives between them. */
export class Tape {
  private values = new Float64Array(1 << 12)
  private firstEdge = new Int32Array(1 << 12)
  private parents = new Int32Array(1 << 14)
  private partials = new Float64Array(1 << 14)
  private edges = 0
  private count = 0

  /** A number that depends on nothing yet: edges that are added next are its own. */
  number(value: number): Scalar {
    if (this.count + 1 === this.values.length) {
      this.values = grown(this.values, new Float64Array(2 * this.values.length))
      this.firstEdge = grown(this.firstEdge, new Int32Array(2 * this.firstEdge.length))
    }
    this.values[this.count] = value
    this.firstEdge[this.count] = this.edges
    return this.count++
  }

  private edge(parent: Scalar, partial: number): void {
    if (this.edges === this.parents.length) {
      this.parents = grown(this.parents, new Int32Array(2 * this.parents.length))
      this.partials = grown(this.partials, new Float64Array(2 * this.partials.length))
    }
    this.parents[this.edges] = parent
    this.partials[this.edges++] = partial
  }

  value(a: Scalar): number {
    return this.values[a]!
  }

  /** f(a), given its value and derivative there. */
  map(a: Scalar, value: number, derivative: number): Scalar {
    const result = this.number(value)
    this.edge(a, derivative)
    return result
  }

  detach(a: Scalar): Scalar {
    return this.number(this.value(a))
  }

  sum(terms: ReadonlyArray<Scalar>): Scalar {
    let value = 0
    for (const term of terms) value += this.value(term)
    const result = this.number(value)
    for (const term of terms) this.edge(term, 1)
    return result
  }

  /** Σ aᵢ·bᵢ, and c. Where `seen` is given, it stands for the aᵢ in the derivatives by the bᵢ. */
  dot(as: ReadonlyArray<Scalar>, bs: ReadonlyArray<Scalar>, c?: Scalar, seen?: ReadonlyArray<number>): Scalar {
    let value = c === undefined ? 0 : this.value(c)
    for (let i = 0; i < as.length; i++) value += this.value(as[i]!) * this.value(bs[i]!)
    const result = this.number(value)
    for (let i = 0; i < as.length; i++) {
      this.edge(as[i]!, this.value(bs[i]!))
      this.edge(bs[i]!, seen?.[i] ?? this.value(as[i]!))
    }
    if (c !== undefined) this.edge(c, 1)
    return result
  }

  add(a: Scalar, b: Scalar): Scalar {
    return this.sum([a, b])
  }

  subtract(a: Scalar, b: Scalar): Scalar {
    return this.add(a, this.times(b, -1))
  }

  multiply(a: Scalar, b: Scalar): Scalar {
    return this.dot([a], [b])
  }

  times(a: Scalar, factor: number): Scalar {
    return this.map(a, factor * this.value(a), factor)
  }

  power(a: Scalar, exponent: number): Scalar {
    const value = this.value(a)
    return this.map(a, value ** exponent, exponent * value ** (exponent - 1))
  }

  exp(a: Scalar): Scalar {
    const value = Math.exp(this.value(a))
    return this.map(a, value, value)
  }

  log(a: Scalar): Scalar {
    return this.map(a, Math.log(this.value(a)), 1 / this.value(a))
  }

  /**
   * The derivatives of one number by all others; with `magnitudes`, the sums over all paths of the paths' absolute values: what
   * rounding is relative to, where paths cancel.
   */
  gradient(of: Scalar, magnitudes = false): Float64Array {
    const gradients = new Float64Array(this.count)
    gradients[of] = 1
    for (let i = of; i >= 0; i--) {
      const gradient = gradients[i]!
      if (gradient === 0) continue
      const end = i + 1 < this.count ? this.firstEdge[i + 1]! : this.edges
      for (let e = this.firstEdge[i]!; e < end; e++) {
        const share = gradient * this.partials[e]!
        gradients[this.parents[e]!]! += magnitudes ? Math.abs(share) : share
      }
    }
    return gradients
  }
}

const grown = <A extends { set(from: A): void }>(from: A, to: A): A => {
  to.set(from)
  return to
}
