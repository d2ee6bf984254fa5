"""Stand-ins for the outside platforms: WeChat, WeChat Pay, Alipay, Aliyun SMS and voice.

One process speaks their real protocols on the root paths of one host, with its own keys and its
own book of what was paid and sent. It shares no code with the product.
"""
