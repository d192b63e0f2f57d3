/** Files whose contents do not match their names, and other layouts of data sets: read correctly, or named in the error. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import { open, parseAedat2, parseCifar, parseIdx, parseNmnist } from "../src/index.ts"
import {
  aedat2,
  aedat3Header,
  aedat3Packet,
  failure,
  idx,
  jpeg,
  mnistFiles,
  nmnistEvent,
  png,
  realData,
  run,
  withDirectory,
} from "./support.ts"

const bytesOf = (text: string) => new TextEncoder().encode(text)
const problem = (result: unknown) => (result as { readonly failure: { readonly message: string } }).failure.message
const pointer = bytesOf("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")

const dvs = aedat2([{ column: 3, row: 4, off: 0, time: 10 }])
const withHeader = (line: string) => {
  const end = dvs.indexOf(0x0a) + 1
  return Uint8Array.from([...dvs.subarray(0, end), ...bytesOf(`${line}\r\n`), ...dvs.subarray(end)])
}

test("an AEDAT 2.0 file from another camera is refused, and the camera is named", () => {
  const chip = "# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C"
  expect(problem(parseAedat2("f", withHeader(chip)))).toContain('"DAVIS240C"')
  expect(problem(parseAedat2("f", withHeader("#AEChip:DAVIS346mini")))).toContain('"DAVIS346mini"')
  for (const known of ["# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128", "# a note on the AEChip: DAVIS240C"])
    expect(parseAedat2("f", withHeader(known))).toMatchObject({ success: { x: Uint16Array.of(123) } })
  // DAVIS addresses have x in bits 12 … 21 and y in 22 … 30; bit 31 marks frames and IMU data.
  for (const address of [0x10000, (100 << 22) | (50 << 12) | (1 << 11), 0x80000000]) {
    const bytes = dvs.slice()
    new DataView(bytes.buffer).setUint32(bytes.length - 8, address)
    expect(problem(parseAedat2("f", bytes))).toStartWith(`f, byte ${bytes.length - 8}: event 0 has the address 0x`)
  }
})

test("an AEDAT 3.1 file from another camera, or in another event format, is refused", async () => {
  const events = aedat3Packet([{ x: 1, y: 1, on: 1, time: 5 }])
  const file = (from: string, to: string) =>
    Uint8Array.from([...bytesOf(new TextDecoder().decode(Uint8Array.from(aedat3Header)).replace(from, to)), ...events])
  const refused = async (recording: Uint8Array) => {
    let message = ""
    const labels = "class,startTime_usec,endTime_usec\r\n1,0,9\r\n"
    const files = { "trials_to_train.txt": "u.aedat", "trials_to_test.txt": "u.aedat", "u_labels.csv": labels }
    await withDirectory({ ...files, "u.aedat": recording }, async (dataDir) => {
      const opened = open("dvs-gesture", { timeSteps: 1, dataDir })
      const write = Effect.flatMap(opened, ({ test }) => test.write([0], undefined, new Float32Array(2 * 128 * 128)))
      message = await run(Effect.match(write, { onSuccess: () => "", onFailure: (error) => error.message }))
    })
    return message
  }
  expect(await refused(file("", ""))).toBe("")
  expect(await refused(file("DVS128", "DAVIS240C"))).toContain('"DAVIS240C"')
  expect(await refused(file("RAW", "Serial-TS"))).toContain('"Serial-TS"')
  expect(await refused(file("#!AER-DAT3.1", "#!AER-DAT4.0"))).toContain('begins "#!AER-DAT4.0"')
  expect(await refused(pointer)).toContain("git lfs pull")
})

test("text is shown as text, and a Git LFS pointer is recognised in every format", async () => {
  expect(problem(parseAedat2("f", bytesOf("#!AER-DAT4.0\r\n#!END")))).toContain('begins "#!AER-DAT4.0"')
  expect(problem(parseIdx("f", bytesOf("\u001b[2Jx"), 1))).toContain("1b 5b 32 4a")
  const parsed = [
    parseAedat2("f", pointer),
    parseIdx("f", pointer, 3),
    parseNmnist("f", pointer),
    parseCifar("f", pointer, { labelBytes: 1, classes: 10 }),
  ]
  for (const each of parsed) expect(problem(each)).toContain("git lfs pull")
  const sets: ReadonlyArray<readonly [name: string, file: string]> = [
    ["mnist", "train-images-idx3-ubyte.gz"],
    ["optdigits", "optdigits.tra"],
    ["cifar100", "train.bin"],
    ["shd", "shd_train.h5"],
  ]
  for (const [name, file] of sets)
    await withDirectory({ ...mnistFiles(1, 1), [file]: pointer }, async (dataDir) => {
      const error = await failure(open(name, { timeSteps: 1, dataDir }))
      expect(error._tag).toBe("MalformedFile")
      expect(error.message).toContain("git lfs pull")
    })
  const gesture = realData("real/gesture/user01_natural.aedat")
  if (gesture !== undefined) {
    const bytes = new Uint8Array(await Bun.file(gesture).arrayBuffer())
    expect(problem(parseAedat2("f", bytes))).toContain("git lfs pull")
  }
})

test("text from a file appears in messages on one line, escaped and shortened", async () => {
  const hostile = `\u001b]0;PWNED\u0007\u001b[2J${"9".repeat(100_000)},1\n`
  await withDirectory({ "optdigits.tra": hostile, "optdigits.tes": "" }, async (dataDir) => {
    const { message } = await failure(open("optdigits", { timeSteps: 1, dataDir }))
    expect(message).not.toMatch(/\p{Cc}/u)
    expect(message.length).toBeLessThan(dataDir.length + 200)
  })
  await withDirectory({ "train/a\u001b[31m/1.jpg": jpeg(1), "val/b/1.jpg": jpeg(1) }, async (dataDir) => {
    const { message } = await failure(open("image-folder", { timeSteps: 1, dataDir }))
    expect(message).not.toMatch(/\p{Cc}/u)
  })
})

const plain = {
  "train-images-idx3-ubyte": idx([1, 28, 28], new Array(784).fill(255)),
  "train-labels-idx1-ubyte": idx([1], [9]),
  "t10k-images-idx3-ubyte": idx([1, 28, 28], new Array(784).fill(0)),
  "t10k-labels-idx1-ubyte": idx([1], [4]),
}

test("torchvision's and Kaggle's layouts of MNIST are found", async () => {
  const layouts: ReadonlyArray<readonly [data: string, place: (name: string) => string]> = [
    ["mnist", (name) => `MNIST/raw/${name}`],
    ["mnist", (name) => `raw/${name}`],
    ["fashion-mnist", (name) => `FashionMNIST/raw/${name}`],
    ["mnist", (name) => name.replace("-idx", ".idx")],
    ["mnist", (name) => `${name}/${name}`],
    ["mnist", (name) => `${name.replace("-idx", ".idx")}/${name.replace("-idx", ".idx")}`],
  ]
  for (const [name, place] of layouts) {
    const files = Object.fromEntries(Object.entries(plain).map(([file, content]) => [place(file), content]))
    await withDirectory(files, async (dataDir) => {
      const { train, test } = await run(open(name, { timeSteps: 1, dataDir }))
      expect([train.label(0), test.label(0)]).toEqual([9, 4])
    })
  }
  // Both of Kaggle's layouts: a folder named like the file, and the file under another name.
  const both = { ...plain, "train-images-idx3-ubyte": undefined }
  const files = Object.entries(both).filter(([, content]) => content !== undefined) as Array<[string, Uint8Array]>
  const kaggle = {
    ...Object.fromEntries(files),
    "train-images-idx3-ubyte/notes": "",
    "train-images.idx3-ubyte": plain["train-images-idx3-ubyte"],
  }
  await withDirectory(kaggle, async (dataDir) => {
    expect((await run(open("mnist", { timeSteps: 1, dataDir }))).train.size).toBe(1)
  })
})

test("N-MNIST in tonic's layout is found", async () => {
  const recording = Uint8Array.from(nmnistEvent(1, 1, 1, 5))
  await withDirectory({ "NMNIST/Train/3/1.bin": recording, "NMNIST/Test/4/1.bin": recording }, async (dataDir) => {
    const { train, test } = await run(open("nmnist", { timeSteps: 1, dataDir }))
    expect([train.label(0), test.label(0)]).toEqual([3, 4])
  })
})

test("unsupported versions of a data set are named, with advice on the supported one", async () => {
  const cases: ReadonlyArray<readonly [name: string, file: string, said: string]> = [
    ["cifar10", "cifar-10-batches-py/data_batch_1", "cifar-10-binary.tar.gz"],
    ["cifar10", "cifar10/cifar-10-batches-py/data_batch_1", "cifar-10-binary.tar.gz"],
    ["cifar10", "data_batch_1", "cifar-10-binary.tar.gz"],
    ["cifar10", "cifar-10-python.tar.gz", "cifar-10-binary.tar.gz"],
    ["cifar10", "cifar-10-binary.tar.gz", "has to be unpacked"],
    ["cifar10", "trainLabels.csv", "Kaggle"],
    ["cifar100", "cifar-100-python/train", "cifar-100-binary.tar.gz"],
    ["mnist", "mnist_train.csv", "IDX"],
    ["mnist", "train.csv", "IDX"],
    ["mnist", "mnist.npz", "IDX"],
    ["nmnist", "Train.zip", "has to be unpacked"],
    ["dvs-gesture", "ibmGestureTrain.tar.gz", "unpacked"],
    ["cifar10-dvs", "airplane/0.aedat4", "AEDAT 2.0"],
    ["shd", "shd_train.h5.gz", "has to be unpacked"],
  ]
  for (const [name, file, said] of cases)
    await withDirectory({ [file]: "x" }, async (dataDir) => {
      const error = await failure(open(name, { timeSteps: 1, dataDir }))
      expect([file, error._tag]).toEqual([file, "MissingFile"])
      if (error._tag === "MissingFile") {
        expect(error.advice).toContain(said)
        expect(error.advice).toContain(`there is ${dataDir}/${file.split("/")[0]}`)
      }
    })
})

test("in an image folder, stray files are ignored; images in other formats and classes only in the test split are refused", async () => {
  const image = png(4, 4, () => [1, 2, 3])
  const good = { "train/a/1.png": image, "val/a/1.png": image }
  const stray = {
    "train/notes.txt": "",
    "train/.cache/x": "",
    "val/labels.csv": "",
    "train/a/thumbs.db": "",
    "train/a/2.gif": "",
  }
  await withDirectory({ ...good, ...stray }, async (dataDir) => {
    const { classNames, train } = await run(open("image-folder", { timeSteps: 1, dataDir, size: 4 }))
    expect([classNames, train.size]).toEqual([["a"], 1])
  })
  const refused = async (files: Record<string, Uint8Array | string>) => {
    let message = ""
    await withDirectory({ ...good, ...files }, async (dataDir) => {
      message = (await failure(open("image-folder", { timeSteps: 1, dataDir }))).message.replaceAll(dataDir, "…")
    })
    return message
  }
  expect(await refused({ "train/b/1.webp": "", "val/b/1.png": image })).toContain(
    "…/train/b/1.webp: .webp files are not",
  )
  expect(await refused({ "train/a/2.BMP": "" })).toContain("…/train/a/2.BMP: .BMP files are not")
  expect(await refused({ "train/b/1.gif": "", "val/b/1.png": image })).toContain("…/train/b/1.gif: .gif files are not")
  expect(await refused({ "val/c/1.png": image })).toContain("found no train/c")
  // The contents decide, not the name: sharp would read these.
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>'
  for (const content of [svg, "GIF89a", "RIFF\0\0\0\0WEBPVP8 "])
    await withDirectory({ ...good, "train/a/1.png": content }, async (dataDir) => {
      const opened = open("image-folder", { timeSteps: 1, dataDir, size: 4 })
      const write = Effect.flatMap(opened, ({ train }) => train.write([0], undefined, new Float32Array(48)))
      expect(await failure(write)).toMatchObject({ _tag: "MalformedFile", file: `${dataDir}/train/a/1.png` })
    })
})
