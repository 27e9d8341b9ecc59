"""The standard library's message, handed to sendmail as most scripts do."""
import email.message
import email.policy
import subprocess
import sys

message = email.message.EmailMessage(policy=email.policy.default)
message["From"] = "Jörg Größe <noreply@contoso.test>"
message["To"] = "ann@example.com"
message["Bcc"] = "hid@example.com"
message["Subject"] = "Grüße aus Köln – 日本語 ✓"
message.set_content(open("body", encoding="utf-8").read())
with open("attachment.bin", "rb") as file:
    message.add_attachment(
        file.read(), maintype="application", subtype="octet-stream", filename="attachment.bin"
    )
command = ["/usr/sbin/sendmail", "-t", "-oi", *sys.argv[1:]]
try:
    subprocess.run(command, input=message.as_bytes(), check=True)
    print("sent")
except (subprocess.CalledProcessError, BrokenPipeError) as error:
    print("failed:", error)
