"""The contract of Indelible: protos, and the code generated from them."""
