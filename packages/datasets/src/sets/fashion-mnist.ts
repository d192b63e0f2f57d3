/** Fashion-MNIST: 70,000 images of clothes in MNIST's format (Xiao, Rasul, Vollgraf, 2017). */
import { idxSource } from "./idx.ts"

export const fashionMnist = idxSource({
  name: "fashion-mnist",
  description: "clothes, 28×28, 60,000 + 10,000",
  classNames: [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
  ],
  torchvision: "FashionMNIST",
  base: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
  md5: {
    "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
  },
})
