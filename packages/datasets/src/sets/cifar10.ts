/** CIFAR-10: 60,000 colour images of 32 × 32 in 10 classes (Krizhevsky, 2009). */
import { cifarSource } from "./cifar.ts"

export const cifar10 = cifarSource({
  name: "cifar10",
  description: "objects and animals, 32×32 in colour, 50,000 + 10,000",
  classNames: ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
  labelBytes: 1,
  folder: "cifar-10-batches-bin",
  stems: { train: "data_batch_[1-5]", test: "test_batch" },
  archive: {
    names: ["cifar-10-binary.tar.gz"],
    url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    checksum: { algorithm: "md5", hex: "c32a1d4ab5d03f1284b67883e8d87530" },
  },
  mean: [0.4914, 0.4822, 0.4465],
  std: [0.2023, 0.1994, 0.201],
})
