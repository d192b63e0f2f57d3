/**
 * IDX, the format of MNIST and Fashion-MNIST (LeCun, Cortes, Burges, "The MNIST database").
 *
 * | byte       | meaning                                                          |
 * |------------|------------------------------------------------------------------|
 * | 0, 1       | 0                                                                |
 * | 2          | type of the values; 0x08: unsigned bytes, the only one read here |
 * | 3          | number d of dimensions: 1 for labels, 3 for images               |
 * | 4 … 4d + 3 | the d sizes, 32 bits each, big-endian                            |
 * | 4d + 4 …   | the values in row-major order                                    |
 *
 * Label files therefore begin with 00 00 08 01 (2049), image files with 00 00 08 03 (2051).
 */
import { Result } from "effect"
import { assertBytes, assertCount } from "../checks.ts"
import { MalformedFile } from "../errors.ts"
import type { LabelledImages } from "../images/split.ts"
import { describeStart } from "./bytes.ts"

/** An array of unsigned bytes. */
export interface IdxArray {
  readonly shape: ReadonlyArray<number>
  readonly data: Uint8Array
}

/** Parses the header of an IDX file of unsigned bytes. Returns the shape and the size of the whole file, in bytes. */
export const idxHeader = (
  file: string,
  bytes: Uint8Array,
  dimensions: number,
): Result.Result<{ readonly shape: ReadonlyArray<number>; readonly size: number }, MalformedFile> => {
  assertBytes("parseIdx", bytes)
  assertCount("parseIdx", "dimensions", dimensions)
  const fail = (offset: number, problem: string) => Result.fail(new MalformedFile({ file, offset, problem }))
  const start = 4 + 4 * dimensions
  const wanted = [0, 0, 8, dimensions]
  if (!wanted.every((value, i) => (bytes[i] ?? value) === value)) {
    return fail(0, `an IDX file begins 00 00 08 0${dimensions}, this one ${describeStart(bytes)}`)
  }
  if (bytes.length < start) {
    return fail(bytes.length, `the file ends inside its header of ${start} bytes`)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const shape = Array.from({ length: dimensions }, (_, i) => view.getUint32(4 + 4 * i))
  return Result.succeed({ shape, size: shape.reduce((product, side) => product * side, 1) + start })
}

/** Parses an IDX file of unsigned bytes with the given number of dimensions. `file` is its name, for errors. */
export const parseIdx = (file: string, bytes: Uint8Array, dimensions: number): Result.Result<IdxArray, MalformedFile> =>
  Result.flatMap(idxHeader(file, bytes, dimensions), ({ shape, size }) => {
    const start = 4 + 4 * dimensions
    if (bytes.length === size) return Result.succeed({ shape, data: bytes.subarray(start) })
    const promised = `the header promises ${shape.join("×")} bytes from byte ${start} on, up to ${size}`
    const problem =
      bytes.length < size
        ? `${promised}, but the file ends here`
        : `${promised}, but the file goes on up to ${bytes.length}`
    return Result.fail(new MalformedFile({ file, offset: bytes.length, problem }))
  })

/** An uncompressed file: its name, for errors, and its contents. */
export interface NamedBytes {
  readonly file: string
  readonly bytes: Uint8Array
}

/** Parses a file of images and the file of their labels, which must be below `classes`. */
export const parseIdxPair = (
  images: NamedBytes,
  labels: NamedBytes,
  classes: number,
): Result.Result<LabelledImages, MalformedFile> =>
  Result.gen(function* () {
    assertCount("parseIdxPair", "classes", classes)
    const pixels = yield* parseIdx(images.file, images.bytes, 3)
    const answers = yield* parseIdx(labels.file, labels.bytes, 1)
    const [count, height, width] = pixels.shape as [number, number, number]
    if (pixels.data.length === 0) {
      return yield* Result.fail(new MalformedFile({ file: images.file, offset: 4, problem: "it holds no images" }))
    }
    if (answers.data.length !== count) {
      const problem = `it holds ${answers.data.length} labels for the ${count} images of ${images.file}`
      return yield* Result.fail(new MalformedFile({ file: labels.file, offset: 4, problem }))
    }
    const wrong = answers.data.findIndex((label) => label >= classes)
    if (wrong >= 0) {
      const problem = `label ${answers.data[wrong]} of sample ${wrong} is not in 0 … ${classes - 1}`
      return yield* Result.fail(new MalformedFile({ file: labels.file, offset: 8 + wrong, problem }))
    }
    return { shape: [height, width, 1], pixels: pixels.data, labels: answers.data }
  })
